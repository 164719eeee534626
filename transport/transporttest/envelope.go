package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/conformance"
)

// inEnvelope returns the transport with clients that speak kanava.v1 to the
// server and the plain form to the test: one behaviour is tested in both.
func inEnvelope(tr Transport) Transport {
	return Transport{NoClientCodes: tr.NoClientCodes, NoReasons: tr.NoReasons, Stateless: tr.Stateless, enveloped: true, Serve: func(tb testing.TB, d kanava.Dispatcher) Dial {
		dial := tr.Serve(tb, d)
		return func(ctx context.Context, r Request) (Client, error) {
			r.Subprotocols = []string{conformance.V1}
			c, err := dial(ctx, r)
			if err != nil {
				return nil, err
			}
			return &envelopeClient{Client: c, actions: make(map[uint64]string)}, c.Send(ctx, []byte(`{"hello":{}}`), false)
		}
	}}
}

// envelopeClient is a Client of kanava.v1 that looks like a plain one. What has
// no plain form is left out; errors come without their action.
type envelopeClient struct {
	Client
	mu      sync.Mutex
	last    uint64            // guarded by mu: the id of the last call
	actions map[uint64]string // guarded by mu: of calls that have not ended
}

func (c *envelopeClient) Send(ctx context.Context, data []byte, binary bool) error {
	if binary {
		return c.Client.Send(ctx, data, true)
	}
	action, input := "", jsontext.Value(data)
	var members map[string]jsontext.Value
	if json.Unmarshal(data, &members) == nil && json.Unmarshal(members["action"], &action) == nil {
		delete(members, "action")
		var err error
		if input, err = json.Marshal(members); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.last++
	id := c.last
	c.actions[id] = action
	c.mu.Unlock()
	return c.Client.Send(ctx, fmt.Appendf(nil, `{"do":%q,"id":%d,"in":%s}`, action, id, input), false)
}

// frame is what a server of kanava.v1 sends.
type frame struct {
	Re   *uint64        `json:"re"`
	Item jsontext.Value `json:"item"`
	Out  jsontext.Value `json:"out"`
	Err  jsontext.Value `json:"err"`
	Push *string        `json:"push"`
	V    jsontext.Value `json:"v"`
	On   *string        `json:"on"`
	Data jsontext.Value `json:"data"`
}

func (c *envelopeClient) Receive(ctx context.Context) (Frame, error) {
	for {
		f, err := c.Client.Receive(ctx)
		if err != nil || f.Kind != KindText {
			return f, err
		}
		var in frame
		if err := json.Unmarshal(f.Data, &in); err != nil {
			return f, err
		}
		if f.Data, err = c.plain(&in); err != nil || f.Data != nil {
			return f, err
		}
	}
}

// plain returns the frame in the plain form, nil if it has none there.
func (c *envelopeClient) plain(in *frame) ([]byte, error) {
	switch {
	case in.Push != nil:
		return in.V, nil
	case in.On != nil:
		return fmt.Appendf(nil, `{"topic":%q,"data":%s}`, *in.On, in.Data), nil
	case in.Re == nil:
		return nil, nil
	case in.Item != nil:
		return in.Item, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	action, ok := c.actions[*in.Re]
	delete(c.actions, *in.Re)
	switch {
	case !ok && *in.Re != 0:
		return nil, fmt.Errorf("an answer to %d, which has been answered or was never asked", *in.Re)
	case in.Err != nil:
		return fmt.Appendf(nil, `{"error":%s}`, in.Err), nil
	case action == "":
		return in.Out, nil
	case in.Out == nil:
		return fmt.Appendf(nil, `{"action":%q}`, action), nil
	case in.Out[0] == '{':
		return fmt.Appendf(nil, `%s,"action":%q}`, bytes.TrimSuffix(in.Out, []byte("}")), action), nil
	}
	return fmt.Appendf(nil, `{"action":%q,"result":%s}`, action, in.Out), nil
}
