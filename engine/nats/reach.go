package nats

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// reachAll waits until all servers that engines are connected to know of what was
// subscribed to before.
//
// It has a message traced to all engines. Each server that the message passes
// tells of it, and how many others it goes on to. The message follows the news of
// the subscriptions on the same ways. It is delivered to nobody. A server whose
// first engine connects in that very moment may be passed by.
func (e *Engine) reachAll() error {
	ctx, cancel := e.lifetime(10 * time.Second)
	defer cancel()
	var backoff backoff
	for {
		m := outgoing{subject: e.names.nodes(), traced: true}
		turn, stop := context.WithTimeout(ctx, patience)
		_, err := e.ask(turn, m, passed)
		stop()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return err
		case errors.Is(err, errLost):
		default: // a server has gone while it was asked, or must not tell
			return e.Probe(ctx)
		}
		if err := e.pause(ctx, &backoff); err != nil {
			return err
		}
	}
}

// passed tells whether all servers have told that were to: the first, of which
// others may be faster, and as many as they say.
func passed(answers []*natsgo.Msg) bool {
	servers, began := 1, false
	for _, m := range answers {
		var event struct {
			Hops    int `json:"hops"` // how many others it goes on to
			Request struct {
				Header map[string][]string `json:"header"`
			} `json:"request"`
		}
		if json.Unmarshal(m.Data, &event) != nil {
			continue
		}
		servers += event.Hops
		if event.Request.Header["Nats-Trace-Hop"] == nil {
			began = true
		}
	}
	return began && len(answers) >= servers
}
