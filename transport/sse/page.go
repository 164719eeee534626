package sse

import (
	"net/http"

	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// This file lets pages of other origins in (docs/protocol.md S1): those that
// the server lists may read what is answered to them.

// allowPage checks where the page comes from that has sent the request, and
// tells its browser that it may read the answer.
func (h *handler) allowPage(w http.ResponseWriter, r *http.Request) error {
	header := w.Header()
	header.Add("Vary", "Origin")
	if err := h.d.CheckOrigin(openrequest.From(r)); err != nil {
		return err
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		header.Set("Access-Control-Expose-Headers", fieldUp+", "+fieldProtocol+", Retry-After")
	}
	return nil
}

// preflight answers the question of a browser whether a page may send a
// request. Which fields it has is the page's affair: an origin that is let in
// may send what a page of the server's own may.
func preflight(w http.ResponseWriter, r *http.Request, refused error) {
	if refused != nil {
		httperr.Write(w, refused)
		return
	}
	header := w.Header()
	header.Set("Allow", allowed)
	if r.Header.Get("Access-Control-Request-Method") != "" {
		header.Add("Vary", "Access-Control-Request-Headers")
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		if fields := r.Header.Get("Access-Control-Request-Headers"); fields != "" {
			header.Set("Access-Control-Allow-Headers", fields)
		}
		header.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
