// Package kanavatest helps to test programs that use Kanava: [NewChannel] and
// [NewStream] call one function without a server; [Dial] connects to a wired
// server in memory, with the real routing, validation and encoding, and no
// network. All of it works inside testing/synctest bubbles, in virtual time.
package kanavatest

import (
	"context"
	"net/url"
	"reflect"
	"sync"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/bridge"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// NewChannel returns an open channel to call functions with: opening data
// open, and the session s, or none if s is nil. What functions send to its
// client is read with [ClientOf]. It ends with the test.
//
// The channel has a hub of its own. A [kanava.Topic] finds it nevertheless; a
// function that names the channel by its id, as in
// hub.Subscribe(ctx, topic, ch.ID()), needs [NewChannelOn].
func NewChannel[Open, Session any](tb testing.TB, open Open, s *Session) *kanava.Channel[Open, Session] {
	tb.Helper()
	hub := kanava.NewEventHub(kanava.HubOptions{})
	tb.Cleanup(hub.Close)
	return NewChannelOn(tb, hub, open, s)
}

// NewChannelOn is [NewChannel] with the hub on which the channel is known by
// its id. The hub remains the caller's.
func NewChannelOn[Open, Session any](tb testing.TB, hub *kanava.EventHub, open Open, s *Session) *kanava.Channel[Open, Session] {
	tb.Helper()
	plan, err := typemodel.OpeningOf(reflect.TypeFor[Open]())
	if err != nil {
		tb.Fatalf("kanavatest: NewChannel: opening data %v", err)
	}
	route, target := "/test", "/test"
	for _, name := range plan.PathNames() {
		route += "/{" + name + "}"
		target += "/" + name
	}
	opened := make(chan *kanava.Channel[Open, Session], 1)
	srv := kanava.NewServer(kanava.Options[Session]{
		EventHub:        hub,
		Authenticate:    func(context.Context, *kanava.OpenRequest) (*Session, error) { return s, nil },
		AllowUserChange: true,
	})
	srv.Wire(kanava.Wiring[Open, Session]{
		Name: "test", Route: route, Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *kanava.Channel[Open, Session]) (kanava.None, error) {
			opened <- ch
			return kanava.None{}, nil
		}),
	})
	req := &kanava.OpenRequest{URL: &url.URL{Path: target}}
	bridge.SetOpening(req, open)
	c, err := DialRequest(tb, srv, req)
	if err != nil {
		tb.Fatalf("kanavatest: NewChannel: %v", err)
	}
	ch := <-opened
	for !bridge.Idle(c.link) { // OnConnect returns
		pause()
	}
	clients.Store(ch.ID(), c)
	tb.Cleanup(func() { clients.Delete(ch.ID()) })
	return ch
}

var clients sync.Map // connection id -> *Client, of NewChannelOn

// ClientOf returns the client of a channel that [NewChannel] or [NewChannelOn]
// made.
func ClientOf(tb testing.TB, ch kanava.Conn) *Client {
	tb.Helper()
	c, ok := clients.Load(ch.ID())
	if !ok {
		tb.Fatal("kanavatest: ClientOf: the channel was not made by NewChannel")
	}
	return c.(*Client)
}

// Recorder keeps what a stream function sent.
type Recorder[Out any] struct {
	mu   sync.Mutex
	sent []Out // guarded by mu
}

// Sent returns what was sent so far.
func (r *Recorder[Out]) Sent() []Out {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Out(nil), r.sent...)
}

// NewStream returns a stream to call a stream function with, and the record of
// what the function sends. Send fails when its context has ended.
func NewStream[Out any](testing.TB) (*kanava.Stream[Out], *Recorder[Out]) {
	r := &Recorder[Out]{}
	return kanava.NewStream(func(ctx context.Context, out Out) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sent = append(r.sent, out)
		return nil
	}), r
}
