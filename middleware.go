package kanava

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
)

// Invocation is one run of a function as middleware sees it.
type Invocation struct {
	Conn    Conn     // the connection; use Guard for typed access. nil over HTTP
	Channel string   // name of the wiring; "" over HTTP
	Action  string   // name of the route; "" for OnMessage and the lifecycle functions; the pattern over HTTP
	Kind    Kind     // message, connect, disconnect or binary
	Tags    []string // of the channel and the function; not to be changed
	In      any      // pointer to the decoded and validated input; nil where there is none
	Opening any      // pointer to the opening data; not to be changed. nil over HTTP
	Session any      // the session, nil where there is none

	stream *streamEnd
}

// Handler runs a function, or middleware around it. It returns what the
// function returned: nil for a function without a result.
type Handler func(ctx context.Context, inv *Invocation) (any, error)

// Middleware wraps a Handler. It runs after the input was decoded and
// validated and the session and permissions were checked, on the goroutine of
// the call. A result it puts in place of the function's must be of the same
// type, or encode to the same kind of JSON.
type Middleware func(next Handler) Handler

// Guard makes middleware that lets a call through if f returns nil, and ends
// it with f's error otherwise. f sees the typed channel. Wire panics if the
// channel it is wired to has other types, and WireHTTP because there is none.
func Guard[Open, Session any](f func(ctx context.Context, ch *Channel[Open, Session]) error) Middleware {
	where := callerPlace(0)
	mustFunc(f == nil, "Guard", where)
	want := reflect.TypeFor[*Channel[Open, Session]]()
	return func(next Handler) Handler {
		switch have := wiring.channel.Load(); {
		case have != nil && *have == nil:
			panic(fmt.Sprintf("guard at %s is for %s, but a function over HTTP has no channel", where, channelName(want)))
		case have != nil && *have != want:
			panic(fmt.Sprintf("guard at %s is for %s, but the channel is %s", where, channelName(want), channelName(*have)))
		}
		return func(ctx context.Context, inv *Invocation) (any, error) {
			ch, ok := inv.Conn.(*Channel[Open, Session])
			if !ok {
				return nil, fmt.Errorf("guard at %s is for %s", where, channelName(want))
			}
			if err := f(ctx, ch); err != nil {
				return nil, err
			}
			return next(ctx, inv)
		}
	}
}

// wiring is the channel whose middleware is being put together: Guard checks
// its types against it. Functions cannot be asked for their types otherwise.
var wiring struct {
	mu      sync.Mutex // held while middleware is put together
	channel atomic.Pointer[reflect.Type]
}

// chain puts middleware around h for a channel, nil for a function over HTTP; the first of each group is its
// outermost, and so is the first group.
func chain(channel reflect.Type, h Handler, groups ...[]Middleware) Handler {
	wiring.mu.Lock()
	defer wiring.mu.Unlock()
	wiring.channel.Store(&channel)
	defer wiring.channel.Store(nil)
	for _, m := range slices.Backward(slices.Concat(groups...)) {
		if m == nil {
			panic("a middleware is nil")
		}
		if h = m(h); h == nil {
			panic("a middleware returned nil")
		}
	}
	return h
}

// Payload is something on its way to one client.
type Payload struct {
	Conn    Conn   // nil for what a function returns or sends over HTTP
	Channel string // name of the wiring; "" over HTTP
	Action  string // of replies and items; the pattern over HTTP
	Topic   string // of events, and of members of a presence
	Kind    Kind
	Value   any // what is sent; not to be changed, but may be replaced. Raw events are jsontext.Value or []byte

	passed bool // the innermost Sender was called
}

// Sender sends a payload on.
type Sender func(ctx context.Context, p *Payload) error

// Outgoing wraps a Sender: it sees every payload that goes to a client, except
// errors. It may replace p.Value, and it drops the payload by not calling next.
// Calling next more than once sends once. It may run for several payloads of
// one connection at the same time, and for events it runs apart from the
// publisher, who never waits for it.
type Outgoing func(next Sender) Sender

// outgoingChain puts outgoing middleware together; nil if there is none.
func outgoingChain(groups ...[]Outgoing) Sender {
	all := slices.Concat(groups...)
	if len(all) == 0 {
		return nil
	}
	send := func(_ context.Context, p *Payload) error { p.passed = true; return nil }
	for _, o := range slices.Backward(all) {
		if o == nil {
			panic("an outgoing middleware is nil")
		}
		if send = o(send); send == nil {
			panic("an outgoing middleware returned nil")
		}
	}
	return send
}

func channelName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.String()
}
