//go:build !linux || 386

package ws

import "net"

func (s *Server) accept(l net.Listener) error { return s.acceptEach(l) }
