package webpubsub

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
)

// AdmitFunc says who asks for an address, and what a client with it may do. A
// [*RefusalError] is told to the client; after any other error, which is logged, it
// gets 500. A nil function would let in everybody, so it is needed.
type AdmitFunc func(ctx context.Context, r *http.Request) (Access, error)

// Negotiate returns the handler of the endpoint where clients get the address to
// connect to, as Microsoft's samples have it: GET or POST is answered with
//
//	{"url":"wss://name.webpubsub.azure.com/client/hubs/chat?access_token=…"}
//
// A request with ?channel=/rooms/7 gets an address for the channel with this path, see
// [Handler]. The address is a secret, and good for Access.Valid. No page of another
// origin can read it, unless a handler around this one allows it. It panics if
// something is missing.
func Negotiate(c *Client, admit AdmitFunc) http.Handler {
	if c == nil || admit == nil {
		panic("webpubsub: Negotiate needs a Client and an AdmitFunc")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			writeRefusal(w, refuse(http.StatusMethodNotAllowed, "ask by GET or POST"))
			return
		}
		body, err := negotiate(c, admit, r)
		if refusal, ok := asRefusal(err); ok {
			writeRefusal(w, refusal)
			return
		}
		if err != nil {
			slog.ErrorContext(r.Context(), "webpubsub: a client got no address", "error", err)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) //nolint:gosec // it is JSON, and said to be; a client that has gone does not get it
	})
}

func negotiate(c *Client, admit AdmitFunc, r *http.Request) ([]byte, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read")
	}
	access, err := admit(r.Context(), r)
	if err != nil {
		return nil, err
	}
	var answer struct {
		URL string `json:"url"`
	}
	if answer.URL, err = c.ClientURL(r.Context(), access); err != nil {
		return nil, fmt.Errorf("address for a client: %w", err)
	}
	if path := query.Get(channelParam); path != "" {
		answer.URL += "&" + url.Values{channelParam: {path}}.Encode()
	}
	return json.Marshal(answer)
}
