package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

const (
	headerTTL          = "Nats-TTL"
	headerExpectedLast = "Nats-Expected-Last-Subject-Sequence"
	sweepEvery         = time.Minute
)

// lease is what a message in the registry says of how long it counts. That of an
// owner has an id, which the owner's entries bear: they do not come back when
// the owner comes too late and begins another.
type lease struct {
	id    string
	seq   uint64
	until time.Time // by the servers' clock
}

func leaseIn(m *natsgo.Msg) (lease, error) {
	l := lease{id: first(m.Header, headerLease), seq: sequence(m)}
	at, err := time.Parse(time.RFC3339Nano, first(m.Header, natsgo.JSTimeStamp))
	if err != nil {
		return lease{}, err
	}
	ns, err := strconv.ParseInt(first(m.Header, headerLasts), 10, 64)
	l.until = at.Add(time.Duration(ns))
	return l, err
}

// lasts makes a message count for d. The server lets go of it some time later.
func (o *outgoing) lasts(d time.Duration) {
	o.setHeader(headerLasts, strconv.FormatInt(int64(d), 10))
}

// letGo has the server let go of a message after d, and a little.
func (o *outgoing) letGo(d time.Duration) {
	o.setHeader(headerTTL, strconv.FormatInt(int64(d/time.Second)+2, 10)+"s")
}

// expect has the message stored only if the last of its subject has this sequence.
func (o *outgoing) expect(seq uint64) {
	o.setHeader(headerExpectedLast, strconv.FormatUint(seq, 10))
}

// overtaken tells that something else was stored than was expected.
func overtaken(err error) bool {
	api := (*apiError)(nil)
	return errors.As(err, &api) && (api.ErrCode == codeWrongLast || api.ErrCode == codeWrongLastOf)
}

// owners are the leases that this engine has renewed.
type owners struct {
	mu    sync.Mutex // guards what follows
	of    map[string]lease
	swept time.Time
}

func (o *owners) set(owner string, l lease, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = make(map[string]lease)
	}
	for name, old := range o.of {
		if !now.Before(old.until) {
			delete(o.of, name)
		}
	}
	o.of[owner] = l
}

// get returns a lease that cannot have ended yet.
func (o *owners) get(owner string, now time.Time) (lease, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l, ok := o.of[owner]
	return l, ok && now.Before(l.until)
}

// toSweep tells whether it is time to sweep.
func (o *owners) toSweep() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.swept) < sweepEvery {
		return false
	}
	o.swept = time.Now()
	return true
}

// Renew implements [engine.Registry].
func (e *Engine) Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	if held, err = e.renew(ctx, owner, ttl); err != nil {
		return false, fmt.Errorf("nats: renew: %w", err)
	}
	if e.owners.toSweep() {
		e.spawn(e.sweep)
	}
	return held, nil
}

func (e *Engine) renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	s := e.stream(ofRegistry)
	for {
		l, found, err := e.leaseOf(ctx, s, owner)
		if err != nil {
			return false, err
		}
		now, err := e.now(ctx, s)
		if err != nil {
			return false, err
		}
		if held = found && now.Before(l.until); !held {
			l.id = rand.Text()
		}
		m := outgoing{subject: e.names.lease(owner)}
		m.setHeader(headerLease, l.id)
		m.lasts(ttl)
		m.expect(l.seq)
		err = e.store(ctx, s, m)
		if overtaken(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		l.until = now.Add(ttl)
		e.owners.set(owner, l, now)
		return held, nil
	}
}

// leaseOf returns the last lease of an owner, which may have ended.
func (e *Engine) leaseOf(ctx context.Context, s *stream, owner string) (lease, bool, error) {
	var last *natsgo.Msg
	_, err := e.lastOf(ctx, s, []string{e.names.lease(owner)}, 0, func(_ string, m *natsgo.Msg) { last = m })
	if err != nil || last == nil {
		return lease{}, false, err
	}
	l, err := leaseIn(last)
	return l, true, err
}

// leases returns those of all owners, also such as have ended.
func (e *Engine) leases(ctx context.Context, s *stream) (map[string]lease, error) {
	all := make(map[string]lease)
	for m, err := range e.all(ctx, s, string(e.names)+".registry.lease.*") {
		if err != nil {
			return nil, err
		}
		l, err := leaseIn(m)
		owner, ok := untoken(lastToken(first(m.Header, natsgo.JSSubject)))
		if err != nil || !ok {
			continue // not of ours
		}
		all[owner] = l
	}
	return all, nil
}

// Owners implements [engine.Registry].
func (e *Engine) Owners(ctx context.Context) ([]string, error) {
	s := e.stream(ofRegistry)
	leases, err := e.leases(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("nats: owners: %w", err)
	}
	now, err := e.now(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("nats: owners: %w", err)
	}
	owners := make([]string, 0, len(leases))
	for owner, l := range leases {
		if now.Before(l.until) {
			owners = append(owners, owner)
		}
	}
	return owners, nil
}

// sweep lets go of what owners have left behind who are gone. Each engine does
// it once in a while.
func (e *Engine) sweep() {
	ctx, cancel := e.lifetime(sweepEvery)
	defer cancel()
	if err := e.sweepOnce(ctx); err != nil && !e.over() {
		e.log.Warn("nats: what lost nodes have left behind is still there", "error", err)
	}
}

func (e *Engine) sweepOnce(ctx context.Context) error {
	s := e.stream(ofRegistry)
	upTo, err := e.leaderAt(s)
	if err != nil {
		return err
	}
	name, err := e.known(ctx, s)
	if err != nil {
		return err
	}
	leases, err := e.leases(ctx, s)
	if err != nil {
		return err
	}
	now, err := e.now(ctx, s)
	if err != nil {
		return err
	}
	for owner, l := range leases {
		if now.Before(l.until.Add(sweepEvery)) || l.seq > upTo {
			continue
		}
		// The lease goes last: without it nobody would find the entries. What comes
		// after upTo is of an owner who has come back.
		for _, subject := range []string{e.names.entriesOf(owner), e.names.lease(owner)} {
			purge := struct {
				Filter string `json:"filter"`
				Seq    uint64 `json:"seq"`
			}{subject, upTo + 1}
			if err := e.api(ctx, "STREAM.PURGE."+name, purge, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
