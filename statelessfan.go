package kanava

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// This file sends events to the connections of a Store. Who publishes does it, after
// the engine has given the event its position. Events of one topic that one process
// publishes go out one after the other.

const (
	fanTime  = 30 * time.Second // how long one event may take on its way to all
	fanMost  = 64               // events on their way at a time; more make who publishes wait
	fanBatch = 64               // connections that are loaded at a time
)

// fanouts are the events of a process that are on their way.
type fanouts struct {
	room chan struct{} // holds one for each

	mu   sync.Mutex
	last map[string]chan struct{} // guarded by mu: by topic: closed when the last event of it is sent
	soon map[string]bool          // guarded by mu: what waits for another of its name, and takes later ones along
	gone int                      // guarded by mu: how many were ever found gone; names what ends them in last
}

func newFanouts() fanouts {
	return fanouts{room: make(chan struct{}, fanMost), last: make(map[string]chan struct{}), soon: make(map[string]bool)}
}

// begin notes that something is under way in this name, and returns what was before
// it, nil if nothing was, and what ends it.
func (f *fanouts) begin(name string) (before chan struct{}, end func()) {
	done := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.last[name]
	f.last[name] = done
	return before, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.last[name] == done {
			delete(f.last, name)
		}
		close(done)
	}
}

// turns are those of publishers, for each topic one at a time; a few topics share one.
type turns [64]chan struct{}

func newTurns() (t turns) {
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
	return t
}

func (t *turns) of(topic string) chan struct{} {
	return t[maphash.String(hubSeed, topic)%uint64(len(t))]
}

// first reports whether nothing of this name waits to be started.
func (f *fanouts) first(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.soon[name]
	f.soon[name] = true
	return !waits
}

func (f *fanouts) started(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.soon, name)
}

// waits returns what is under way.
func (f *fanouts) waits() []chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.last))
}

// reserve waits until one more event may be on its way, and returns who has to send
// it: publish, or unreserve, follows. Nobody waits for longer than ctx: then there is
// one more than may be.
func (l *statelessList) reserve(ctx context.Context) []*Stateless {
	all := l.all()
	for _, rt := range all {
		select {
		case rt.fan.room <- struct{}{}:
		case <-ctx.Done():
			go func() { rt.fan.room <- struct{}{} }()
		}
	}
	return all
}

func (rt *Stateless) unreserve() { <-rt.fan.room }

// publish sends an event to the subscribers in the Store. It does not wait for that.
func (rt *Stateless) publish(ctx context.Context, ev *event) {
	before, end := rt.fan.begin(ev.topic)
	var own connID
	if x := callOf(ctx); before == nil && x != nil && x.c.visit() != nil && x.c.visit().rt == rt && x.c.visit().handNow(ev) {
		own = x.c.id // it has it already, before the reply, and overtakes none that is on its way from here
	}
	go func() {
		defer func() {
			end()
			rt.unreserve()
		}()
		if before != nil {
			<-before
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fanTime)
		defer cancel()
		rt.each(ctx, ev.topic, own, func(v *visit) { _ = v.hand(ev) })
	}()
}

// Settle returns when what was published until now is sent to the connections of the
// Store, or ctx ends. Connect, Message and the like wait for that by themselves; other
// code of a process that is stopped between events calls it at the end of each. A process
// that may stand still from then on also waits for what these have brought about.
func (rt *Stateless) Settle(ctx context.Context) error {
	rounds := settleRounds
	if rt.opts.Resident {
		rounds = 1
	}
	for range rounds {
		for _, done := range rt.fan.waits() {
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// settleRounds is how often it is looked for what the sending of events has brought
// about: connections that are gone, and what their OnDisconnect publishes.
const settleRounds = 3

// later ends a connection that is gone. Nobody waits for its OnDisconnect who may
// have to go on for that to end.
func (rt *Stateless) later(ctx context.Context, id connID) {
	rt.fan.mu.Lock()
	rt.fan.gone++
	name := "\x01gone:" + strconv.Itoa(rt.fan.gone)
	rt.fan.mu.Unlock()
	_, end := rt.fan.begin(name)
	go func() {
		defer end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fanTime)
		defer cancel()
		if err := rt.end(ctx, id, CloseAbnormal, ""); err != nil {
			rt.logger.Error("a connection that is gone is still kept", "conn", id.String(), "error", err)
		}
	}()
}

// each visits the connections of a group but one, many at a time, and returns when
// all visits are over.
func (rt *Stateless) each(ctx context.Context, group string, but connID, do func(*visit)) {
	rt.Start()
	var running sync.WaitGroup
	defer running.Wait()
	met := map[connID]bool{but: true}
	ids, marks := make([]string, 0, fanBatch), make([]string, 0, fanBatch)
	visit := func() {
		recs, err := rt.store.Load(ctx, ids)
		if err != nil {
			rt.logger.Error("connections of a group are not reached", "connections", len(ids), "error", err)
			return
		}
		for i, rec := range recs {
			id, _ := readConnID(ids[i])
			if rec.Version == 0 {
				_ = rt.store.Leave(ctx, group, member(id, marks[i])) // it has ended without a word
				continue
			}
			select {
			case rt.sends <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-rt.sends }()
				rt.visitFor(ctx, id, rec, do)
			})
		}
	}
	for m, err := range rt.store.Members(ctx, group) {
		if err != nil {
			rt.logger.Error("the connections of a group cannot be had", "error", err)
			break
		}
		id, mark, ok := readMember(m)
		if !ok || met[id] {
			continue // another stay of the same connection
		}
		met[id] = true
		ids, marks = append(ids, id.String()), append(marks, mark)
		if len(ids) == fanBatch {
			visit()
			ids, marks = ids[:0], marks[:0]
		}
	}
	if len(ids) > 0 {
		visit()
	}
}

// visitFor visits a connection that was loaded, and sends what it has to say then.
func (rt *Stateless) visitFor(ctx context.Context, id connID, rec engine.Record, do func(*visit)) {
	v, err := rt.revive(ctx, id, rec)
	if err != nil {
		return // which was told
	}
	defer v.leave()
	v.sending = true
	if v.kept().Phase == keptClosing {
		return
	}
	if !v.overdue() {
		do(v)
	}
	if err := v.run(nil); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrGone) {
		rt.logger.Error("a connection was not reached", "conn", id.String(), "error", err)
	}
}

// hand gives an event to the connection.
func (v *visit) hand(ev *event) bool {
	sub := v.subscription(ev.topic)
	if sub == nil { // it has left
		return false
	}
	sub.hand(ev)
	return true
}

// subscription returns that to a topic, nil if there is none.
func (v *visit) subscription(topic string) *subscription {
	v.c.subMu.Lock()
	defer v.c.subMu.Unlock()
	return v.c.subs.get(hubTopic{v.c.core.hub, topic})
}

// reach does what is asked of one connection, or of all of a user, and returns how
// many it has reached.
func (rt *Stateless) reach(ctx context.Context, do string, t farTarget) (sum farReached, err error) {
	var mu sync.Mutex
	one := func(v *visit) {
		if v.kept().Phase == keptClosing || t.User != "" && userOf(v.c.current.Load()) != t.User {
			return
		}
		r, failed := v.c.answerFar(v.now(), do, t)
		mu.Lock()
		defer mu.Unlock()
		sum.N += r.N
		if err == nil {
			err = failed
		}
	}
	if t.ID == "" {
		if t.User != "" {
			rt.each(ctx, userGroup(t.User), connID{}, one)
		}
		return sum, err
	}
	id, ok := readConnID(t.ID)
	if !ok {
		return sum, nil
	}
	v, err := rt.visit(ctx, id)
	if err != nil {
		if errors.Is(err, ErrGone) {
			err = nil
		}
		return sum, err
	}
	defer v.leave()
	one(v)
	return sum, errors.Join(err, v.run(nil))
}
