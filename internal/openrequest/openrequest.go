// Package openrequest tells the core what an HTTP request asks for.
package openrequest

import (
	"net/http"
	"strings"

	"github.com/kanava-go/kanava"
)

// From returns what the core wants to know of r. The header is r's own.
func From(r *http.Request) *kanava.OpenRequest {
	req := &kanava.OpenRequest{URL: r.URL, Host: r.Host, Header: r.Header, RemoteAddr: r.RemoteAddr}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		req.Token = strings.TrimSpace(token)
	}
	return req
}
