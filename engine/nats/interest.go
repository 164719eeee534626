package nats

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// mostIncoming bounds how many messages wait to be delivered; unread bounds
// their bytes before.
const mostIncoming = 1 << 16

// topics are what is subscribed to.
type topics struct {
	names    names
	probe    string           // the subject of messages to oneself
	incoming chan *natsgo.Msg // of all subscriptions

	mu      sync.Mutex           // guards what follows, and the interests
	of      map[string]*interest // by live subject
	missed  []string             // topics, of which the client has dropped messages
	missAll bool

	delivering sync.Mutex // held while the handler runs
	silent     atomic.Bool
}

// interest is one subscription, for which there is neither a goroutine nor a
// timer.
type interest struct {
	topic   string
	subject string
	stream  *stream // nil: Volatile
	wanted  bool
	sub     *natsgo.Subscription // of the goroutine that sends

	at      engine.Position // of the last event that was delivered
	found   engine.Position // what Positions has found last
	checked uint64          // how far the stream was then
	batch   []engine.Event  // of the goroutine that delivers
}

func (ts *topics) init(n names) {
	ts.names = n
	ts.probe = n.probe(natsgo.NewInbox()[len(natsgo.InboxPrefix):])
	ts.incoming = make(chan *natsgo.Msg, mostIncoming)
	ts.of = make(map[string]*interest)
}

// Subscribe implements [engine.Broker].
func (e *Engine) Subscribe(ctx context.Context, t engine.Topic) error {
	if err := e.subscribe(ctx, t); err != nil {
		return fmt.Errorf("nats: subscribe: %w", err)
	}
	return nil
}

func (e *Engine) subscribe(ctx context.Context, t engine.Topic) error {
	if e.over() {
		return engine.ErrClosed
	}
	i := &interest{topic: t.Name, subject: e.names.live(t.Name), wanted: true}
	if t.Class != engine.Volatile {
		i.stream = e.stream(retentionOf(t))
	}
	ts := &e.topics
	ts.mu.Lock()
	former := ts.of[i.subject]
	ts.of[i.subject] = i
	if former != nil {
		former.wanted = false
	}
	ts.mu.Unlock()
	if former != nil {
		e.sending.change(former)
	}
	e.sending.change(i)
	return e.confirm(ctx, i.stream)
}

// Unsubscribe implements [engine.Broker].
func (e *Engine) Unsubscribe(t engine.Topic) {
	subject := e.names.live(t.Name)
	ts := &e.topics
	ts.mu.Lock()
	i := ts.of[subject]
	if i != nil {
		delete(ts.of, subject)
		i.wanted = false
	}
	ts.mu.Unlock()
	if i != nil && !e.over() {
		e.sending.change(i)
	}
}

// apply makes the client's subscriptions what they should be.
func (ts *topics) apply(nc *natsgo.Conn, i *interest) {
	ts.mu.Lock()
	wanted := i.wanted
	ts.mu.Unlock()
	switch {
	case wanted && i.sub == nil:
		i.sub, _ = nc.ChanSubscribe(i.subject, ts.incoming) // fails only if the connection is closed for good
	case !wanted && i.sub != nil:
		_ = i.sub.Unsubscribe() // as above
		i.sub = nil
	}
}

// silence lets nothing be delivered any more.
func (ts *topics) silence() {
	ts.silent.Store(true)
	ts.delivering.Lock() // waits for what runs
	defer ts.delivering.Unlock()
}

// miss notes that messages of a subscription were dropped.
func (ts *topics) miss(subject string) {
	const most = 1024
	ts.mu.Lock()
	defer ts.mu.Unlock()
	switch i := ts.of[subject]; {
	case i == nil:
	case len(ts.missed) < most:
		ts.missed = append(ts.missed, i.topic)
	default:
		ts.missAll = true
	}
}

// takeMissed returns of which topics messages were dropped; all says of any.
func (ts *topics) takeMissed() (missed []string, all bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	missed, all = ts.missed, ts.missAll
	ts.missed, ts.missAll = nil, false
	return missed, all
}
