package main

import "net/http"

// onHTTP needs nothing but the standard library. The handler matches the
// routes of its channels itself, so it stands at the path that they share.
func onHTTP(channels http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/rooms/", channels)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}
