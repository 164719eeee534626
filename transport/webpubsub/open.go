package webpubsub

import (
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
	"github.com/kanava-go/kanava/manifest"
)

// This file opens channels: it makes the request of a client out of the event by
// which the service asks whether it may connect.

// channelParam is the member of a client's query that names the path of a channel.
const channelParam = "channel"

// paths returns the default of Options.Path.
func paths(hub string, m *manifest.Manifest) func(*Event) string {
	routes := make(map[string]bool, len(m.Channels))
	for _, c := range m.Channels {
		routes[c.Route] = true
	}
	return func(ev *Event) string {
		if asked := ev.Connecting.Query[channelParam]; len(asked) > 0 {
			return asked[0]
		}
		if path := "/" + hub; routes[path] || len(m.Channels) != 1 {
			return path
		}
		return m.Channels[0].Route
	}
}

// connect answers whether a client may connect.
func (f *Function) connect(ctx context.Context, ev *Event) (*Response, error) {
	req, malformed := openRequest(f.path(ev), ev)
	if malformed != nil {
		return nil, refusalOf(malformed)
	}
	if err := f.once(ctx, ev); err != nil {
		return nil, err
	}
	subprotocol, err := f.runtime.Connect(ctx, ev.ConnectionID, req)
	if err == nil {
		return &Response{Accept: Accept{Subprotocol: subprotocol}}, nil
	}
	if e, ok := errors.AsType[*kanava.Error](err); ok {
		if refusal, ok := asRefusal(refusalOf(e)); ok {
			return nil, refusal
		}
	}
	return nil, errors.Join(err, f.again(ctx, ev)) // nobody is in yet, so it may be tried again
}

// refusalOf is an error as the client is told it.
func refusalOf(e *kanava.Error) *RefusalError {
	return &RefusalError{Status: e.HTTPStatus(), Text: string(httperr.Append(nil, e))}
}

// openRequest is what a client asks for that wants to connect.
func openRequest(path string, ev *Event) (*kanava.OpenRequest, *kanava.Error) {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return nil, kanava.Errorf(kanava.CodeNotFound, "no channel has this path")
	}
	c := ev.Connecting
	query := make(url.Values, len(c.Query))
	for name, values := range c.Query {
		if name != channelParam {
			query[name] = values
		}
	}
	u.RawQuery, u.Fragment = query.Encode(), ""
	header := make(http.Header, len(c.Headers))
	for name, values := range c.Headers {
		key := textproto.CanonicalMIMEHeaderKey(name)
		header[key] = append(header[key], values...)
	}
	host := header.Get("Host")
	header.Del("Host") // as net/http does
	header.Del("Sec-Websocket-Protocol")
	if len(c.Subprotocols) > 0 { // the service's own reading of the field
		header.Set("Sec-Websocket-Protocol", strings.Join(c.Subprotocols, ", "))
	}
	setToken(header, ev)
	return openrequest.WebSocket(&http.Request{Method: http.MethodGet, URL: u, Host: host, Header: header})
}

// Token is what the service has checked of the token by which a client connects: the
// one of its address, see [Client.ClientURL].
type Token struct {
	UserID string              `json:"userId"` // "" for none
	Claims map[string][]string `json:"claims"` // none of a client without a token
}

// tokenField is where requests have the Token. No field of HTTP has such a name.
const tokenField = "Kanava Web Pubsub Token" //nolint:gosec // a name

// TokenOf returns what the service says of a client, for Options.Authenticate of a
// server. It is the zero Token for a request that is not of a [Handler], and for a
// client without a token, which the service lets in only where the hub allows
// anonymous clients.
func TokenOf(r *kanava.OpenRequest) (t Token) {
	if text := r.Header[tokenField]; len(text) == 1 {
		_ = json.Unmarshal([]byte(text[0]), &t) // which setToken has made
	}
	return t
}

// setToken notes the Token in the header of a request, which is kept until a client
// of kanava.v1 says hello.
func setToken(header http.Header, ev *Event) {
	delete(header, tokenField) // the client's
	text, err := json.Marshal(Token{ev.UserID, ev.Connecting.Claims}, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err == nil {
		header[tokenField] = []string{string(text)}
	}
}
