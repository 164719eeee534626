package openrequest

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httptoken"
)

// signInPrefix begins the subprotocol that carries a credential, for browsers,
// which cannot set header fields (docs/protocol.md P1).
const signInPrefix = "kanava.bearer."

// WebSocket returns what the core wants to know of r, the request for a WebSocket
// connection. A credential among the subprotocols becomes the token, and is passed
// on nowhere else.
func WebSocket(r *http.Request) (*kanava.OpenRequest, *kanava.Error) {
	req := From(r)
	const field = "Sec-Websocket-Protocol"
	bearer := false
	for p := range List(r.Header[field]) {
		if !httptoken.Is(p) {
			return nil, kanava.Errorf(kanava.CodeInvalidArgument, "Sec-WebSocket-Protocol is malformed")
		}
		coded, ok := strings.CutPrefix(p, signInPrefix)
		if !ok {
			req.Subprotocols = append(req.Subprotocols, p)
			continue
		}
		bearer = true
		token, err := base64.RawURLEncoding.DecodeString(coded)
		if err != nil {
			return nil, kanava.Errorf(kanava.CodeInvalidArgument, "the credential in Sec-WebSocket-Protocol is not base64url")
		}
		if req.Token == "" {
			req.Token = string(token)
		}
	}
	if bearer {
		req.Header = r.Header.Clone()
		delete(req.Header, field)
		if len(req.Subprotocols) > 0 {
			req.Header[field] = []string{strings.Join(req.Subprotocols, ", ")}
		}
	}
	return req, nil
}
