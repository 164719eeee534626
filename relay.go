package kanava

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/engine"
)

// This file is how nodes ask each other: requests and answers go over Volatile
// topics of the engine, and so each is taken once at most.

const (
	relayPrefix = "\x01node:"     // of the topic of one node, where answers come, too
	relayAll    = "\x01nodes"     // the topic of all
	relayLease  = "\x01node:"     // of the owners that say which nodes there are
	relayTime   = 2 * time.Second // how long a node may take to say whether it has what is asked for
	relayMost   = 256             // requests of other nodes that are worked on at a time

	// nodeTime is how long a node that has died is still waited for.
	nodeTime = 15 * time.Second
)

// relay is a node among the others.
type relay struct {
	k     *cluster
	joins sync.Once
	ready chan struct{} // closed when the node can be asked

	listening sync.Mutex // held while that begins and ends
	listeners int        // guarded by listening: asks of a guest that are under way

	mu       sync.Mutex
	last     uint64                   // guarded by mu
	asked    map[uint64]func(relayed) // guarded by mu: what takes answers
	services map[string]relayService  // guarded by mu: by topic
	working  int                      // guarded by mu
	named    int                      // guarded by mu: services with names
	joined   bool                     // guarded by mu: what comes is subscribed to
	nodes    map[string]bool          // guarded by mu: those that were there when it was looked
	looked   time.Time                // guarded by mu: when that was
}

// relayService answers what is asked on a topic. An answer that is nil, without an
// error, says that this node has nothing to say.
type relayService func(ctx context.Context, do string, in jsontext.Value) (out any, err error)

// relayed is a message between nodes: a request, or an answer.
type relayed struct {
	From string         `json:"from"`
	ID   uint64         `json:"id,omitzero"`
	Do   string         `json:"do,omitzero"`
	In   jsontext.Value `json:"in,omitzero"`
	MS   int64          `json:"ms,omitzero"` // how long it is waited for

	Re  uint64         `json:"re,omitzero"` // the request that is answered
	Out jsontext.Value `json:"out,omitzero"`
	Err *relayedError  `json:"err,omitzero"`
}

type relayedError struct {
	Code       Code     `json:"code"`
	Message    string   `json:"message"`
	Details    []Detail `json:"details,omitzero"`
	RetryAfter int64    `json:"retryAfter,omitzero"`
}

func (e *relayedError) err() error {
	if e == nil {
		return nil
	}
	return &Error{Code: e.Code, Message: e.Message, Details: e.Details, RetryAfter: time.Duration(e.RetryAfter) * time.Millisecond}
}

// relayed returns an error as other processes are told, or find it; nil for none.
func (e *Error) relayed() *relayedError {
	if e == nil {
		return nil
	}
	return &relayedError{e.Code, e.Message, e.Details, e.RetryAfter.Milliseconds()}
}

func newRelay(k *cluster) *relay {
	return &relay{k: k, ready: make(chan struct{}), asked: make(map[uint64]func(relayed)), services: make(map[string]relayService)}
}

// join makes the node known to the others.
func (r *relay) join() {
	r.joins.Do(func() {
		r.mu.Lock()
		r.services[relayAll] = r.k.answerConns
		topics := []string{relayPrefix + r.k.node}
		for topic := range r.services {
			topics = append(topics, topic)
		}
		r.joined = true
		r.mu.Unlock()
		r.k.run(func() {
			for _, topic := range topics {
				if !r.subscribe(topic) {
					return
				}
			}
			for first := true; ; {
				ctx, cancel := limited(r.k.ctx, engineTime)
				_, err := r.k.engine.Renew(ctx, relayLease+r.k.node, nodeTime)
				cancel()
				wait := nodeTime / 3
				if err != nil {
					wait = time.Second/2 + rand.N(time.Second) //nolint:gosec // spreads nodes
				} else if first {
					first = false
					close(r.ready)
				}
				if !r.k.sleep(wait) {
					return
				}
			}
		})
	})
}

// listen hears answers until stop is called, on behalf of a process that is no node.
func (r *relay) listen(ctx context.Context) (stop func(), err error) {
	r.joins.Do(func() { close(r.ready) })
	spec := engine.Topic{Name: relayPrefix + r.k.node}
	r.listening.Lock()
	defer r.listening.Unlock()
	if r.listeners == 0 {
		if err := r.k.engine.Subscribe(ctx, spec); err != nil {
			r.k.engine.Unsubscribe(spec)
			return nil, err
		}
	}
	r.listeners++
	return func() {
		r.listening.Lock()
		defer r.listening.Unlock()
		if r.listeners--; r.listeners == 0 {
			r.k.engine.Unsubscribe(spec)
		}
	}, nil
}

// leave tells the others that nobody has to wait for this node.
func (r *relay) leave(ctx context.Context) {
	if r.k.guest.isSet() {
		return
	}
	ctx, cancel := limited(ctx, time.Second)
	defer cancel()
	select {
	case <-r.ready:
		_, _ = r.k.engine.Renew(ctx, relayLease+r.k.node, time.Millisecond) // else the lease ends by itself
	default:
	}
}

// subscribe tries until it succeeds, or the hub is closed.
func (r *relay) subscribe(topic string) bool {
	spec := engine.Topic{Name: topic}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		ctx, cancel := limited(r.k.ctx, 2*engineTime)
		err := r.k.engine.Subscribe(ctx, spec)
		cancel()
		if err == nil {
			return true
		}
		r.k.engine.Unsubscribe(spec)
		if !r.k.sleep(wait/2 + rand.N(wait)) { //nolint:gosec // spreads nodes
			return false
		}
	}
}

// serve answers what is asked of a service, and returns the name under which other
// nodes find it: that of the node and a number.
func (r *relay) serve(f relayService) (name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.named++
	name = r.k.node + "-" + strconv.Itoa(r.named)
	r.services[relayPrefix+name] = f
	if r.joined {
		r.k.run(func() { r.subscribe(relayPrefix + name) })
	}
	return name
}

// knows reports whether a service can be there: whether its node is one. It asks
// the engine once a second at most, however often strangers ask for nonsense.
func (r *relay) knows(ctx context.Context, name string) bool {
	node, _, _ := strings.Cut(name, "-")
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.nodes[node] && time.Since(r.looked) >= time.Second {
		r.looked = time.Now()
		r.mu.Unlock()
		owners, err := r.k.engine.Owners(ctx)
		r.mu.Lock()
		if err == nil {
			r.nodes = make(map[string]bool, len(owners))
			for _, o := range owners {
				if n, ok := strings.CutPrefix(o, relayLease); ok {
					r.nodes[n] = true
				}
			}
		}
	}
	return r.nodes[node]
}

// others returns how many other nodes there are.
func (r *relay) others(ctx context.Context) (n int, err error) {
	owners, err := r.k.engine.Owners(ctx)
	for _, o := range owners {
		if node, ok := strings.CutPrefix(o, relayLease); ok && node != r.k.node {
			n++
		}
	}
	return n, err
}

// ask asks on a topic, and calls take with each answer, one at a time, until
// that returns true, want have answered, or ctx ends. It returns how many have
// not answered.
func (r *relay) ask(ctx context.Context, topic, do string, in any, want int, take func(out jsontext.Value, err error) (done bool)) (silent int, err error) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return want, ctx.Err()
	case <-r.k.ctx.Done():
		return want, ErrClosed
	}
	m := relayed{From: r.k.node, Do: do}
	if m.In, err = json.Marshal(in); err != nil {
		return want, err
	}
	if end, ok := ctx.Deadline(); ok {
		m.MS = max(time.Until(end).Milliseconds(), 1)
	}
	answers := make(chan relayed, max(want, 1))
	over := make(chan struct{})
	defer close(over)
	r.mu.Lock()
	r.last++
	m.ID = r.last
	r.asked[m.ID] = func(a relayed) {
		select {
		case answers <- a:
		case <-over:
		default: // more nodes than there were: this one has come since
		}
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.asked, m.ID)
		r.mu.Unlock()
	}()
	if err := r.send(ctx, topic, m); err != nil {
		return want, err
	}
	for ; want > 0; want-- {
		select {
		case a := <-answers:
			if take(a.Out, a.Err.err()) {
				return 0, nil
			}
		case <-ctx.Done():
			return want, ctx.Err()
		case <-r.k.ctx.Done():
			return want, ErrClosed
		}
	}
	return 0, nil
}

func (r *relay) send(ctx context.Context, topic string, m relayed) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return r.k.engine.Publish(ctx, engine.Topic{Name: topic}, engine.Event{Data: data})
}

// deliver takes what other nodes have sent. It reports false for what is no
// message between nodes.
func (r *relay) deliver(topic string, events []engine.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	service, known := r.services[topic]
	own := topic == relayPrefix+r.k.node
	if !known && !own {
		return false
	}
	for _, e := range events {
		var m relayed
		if json.Unmarshal(e.Data, &m) != nil || m.From == r.k.node {
			continue
		}
		switch take := r.asked[m.Re]; {
		case m.Re != 0:
			if take != nil {
				take(m)
			}
		case known && r.working < relayMost: // beyond that who asks gives up
			if r.k.run(func() { r.answer(service, m) }) {
				r.working++
			}
		}
	}
	return true
}

// answer works on a request of another node.
func (r *relay) answer(service relayService, m relayed) {
	defer func() {
		r.mu.Lock()
		r.working--
		r.mu.Unlock()
	}()
	ctx, cancel := limited(r.k.ctx, min(time.Duration(m.MS)*time.Millisecond, waitTime))
	defer cancel()
	a := relayed{From: r.k.node, Re: m.ID}
	out, err := service(ctx, m.Do, m.In)
	if err == nil && out != nil {
		a.Out, err = json.Marshal(out)
	}
	if err != nil {
		e, _ := find(err)
		if e == nil {
			r.k.hub.opts.Logger.Error("what another node has asked for failed", "asked", m.Do, "error", err)
			e = Errorf(CodeInternal, "internal error")
		}
		a.Err = e.relayed()
	}
	ctx, cancel = limited(r.k.ctx, engineTime)
	defer cancel()
	if err := r.send(ctx, relayPrefix+m.From, a); err != nil {
		r.k.hub.opts.Logger.Warn("another node was not answered", "error", err)
	}
}
