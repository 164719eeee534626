package webpubsub

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
)

// answer is a [Response] as HTTP has it.
type answer struct {
	status      int
	state       *string
	contentType string // "": no body
	body        []byte
}

// encode makes the answer to an event. An error says what the service would not
// take: a fault of the program.
func (res *Response) encode(ev *Event) (answer, error) {
	if ev.Type != Connect && ev.Type != User {
		return answer{status: http.StatusOK}, nil
	}
	a := answer{status: http.StatusNoContent}
	if res == nil {
		return a, nil
	}
	if a.state = res.State; a.state != nil {
		for _, c := range []byte(*a.state) {
			if c < ' ' || c > '~' {
				return a, fmt.Errorf("webpubsub: Response.State is not printable ASCII: %q", *a.state)
			}
		}
	}
	var err error
	switch {
	case ev.Type == Connect && !res.Accept.none():
		a.contentType = JSON.contentType()
		a.body, err = res.Accept.encode(ev.Connecting)
	case ev.Type == User && !res.Message.none():
		a.contentType, a.body, err = res.Message.Type.contentType(), res.Message.Data, res.Message.check()
	}
	if err == nil && a.contentType != "" {
		a.status = http.StatusOK
		if a.contentType != Binary.contentType() {
			a.contentType += "; charset=utf-8"
		}
	}
	return a, err
}

func (m Message) none() bool { return m.Type == "" && m.Data == nil }

func (a Accept) none() bool {
	return a.UserID == "" && len(a.Groups) == 0 && a.Roles == nil && a.Subprotocol == ""
}

func (a Accept) encode(c *Connecting) ([]byte, error) {
	if a.Subprotocol != "" && !slices.Contains(c.Subprotocols, a.Subprotocol) {
		return nil, fmt.Errorf("webpubsub: the client does not offer the subprotocol %q", a.Subprotocol)
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("webpubsub: Response.Accept: %w", err)
	}
	return body, nil
}

func (a answer) write(w http.ResponseWriter) {
	if a.state != nil {
		w.Header().Set(fieldState, *a.state)
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a service that does not wait for it does not get it
}

func writeRefusal(w http.ResponseWriter, r *RefusalError) {
	a := answer{status: r.Status, body: []byte(r.Text)}
	if r.Text != "" {
		a.contentType = "text/plain; charset=utf-8"
	}
	a.write(w)
}
