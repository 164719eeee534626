package ws

import "net/http"

// Streamed has a handler give all its connections goroutines of their own, as
// it does for those that are no plain sockets, and on other systems.
func Streamed(h http.Handler) http.Handler {
	h.(*handler).stream = true
	return h
}

// Streamed is the same for a server.
func (s *Server) Streamed() *Server {
	s.h.stream = true
	return s
}
