package kanava

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file keeps the results of calls that have an idempotency key
// (docs/protocol.md P18): a client that has lost its connection repeats such a
// call, and the function runs once.

const (
	keyTime    = 5 * time.Minute
	keyResult  = 64 << 10 // bytes of a result
	keysOfUser = 256
	keysOfAll  = 16 << 10
	maxKey     = 256 // bytes of a key
)

// keyed is a call that has a key: keys of different users, channels and
// actions are different.
type keyed struct{ user, channel, by, action, key string }

// outcome is what came of a call, or is still to come.
type outcome struct {
	of    keyed
	input [sha256.Size]byte
	done  chan struct{} // closed when the rest is known
	out   any
	err   *Error
	until time.Time
	place *list.Element // in outcomes.ended; nil while the call runs
}

// outcomes are those of a server.
type outcomes struct {
	mu     sync.Mutex
	all    map[keyed]*outcome // guarded by mu
	ended  list.List          // guarded by mu: of *outcome, by until
	byUser map[string]int     // guarded by mu: how many
}

// claim returns the outcome of the call, and whether the caller is the one who
// has to find it.
func (o *outcomes) claim(of keyed, input []byte) (_ *outcome, first bool, _ *Error) {
	now, sum := time.Now(), sha256.Sum256(input)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(now)
	if known := o.all[of]; known != nil {
		if known.input != sum {
			return nil, false, Errorf(CodeInvalidArgument, "this key was used for another input")
		}
		return known, false, nil
	}
	if o.byUser[of.user] >= keysOfUser && !o.makeRoom(func(x *outcome) bool { return x.of.user == of.user }) ||
		len(o.all) >= keysOfAll && !o.makeRoom(func(*outcome) bool { return true }) {
		return nil, false, Errorf(CodeResourceExhausted, "too many calls with keys are running")
	}
	if o.all == nil {
		o.all, o.byUser = make(map[keyed]*outcome), make(map[string]int)
	}
	x := &outcome{of: of, input: sum, done: make(chan struct{})}
	o.all[of] = x
	o.byUser[of.user]++
	return x, true, nil
}

// forget drops what was kept for long enough; o.mu is held.
func (o *outcomes) forget(now time.Time) {
	for e := o.ended.Front(); e != nil && !now.Before(e.Value.(*outcome).until); e = o.ended.Front() {
		o.drop(e.Value.(*outcome))
	}
}

// makeRoom drops the oldest outcome of which is true; o.mu is held.
func (o *outcomes) makeRoom(is func(*outcome) bool) bool {
	for e := o.ended.Front(); e != nil; e = e.Next() {
		if x := e.Value.(*outcome); is(x) {
			o.drop(x)
			return true
		}
	}
	return false
}

func (o *outcomes) drop(x *outcome) {
	delete(o.all, x.of)
	if x.place != nil {
		o.ended.Remove(x.place)
	}
	if o.byUser[x.of.user]--; o.byUser[x.of.user] == 0 {
		delete(o.byUser, x.of.user)
	}
}

// settle says what came of the call that x was claimed for. If that is not
// kept, who waits for it is told that it is not known, and the next call runs.
func (o *outcomes) settle(x *outcome, out any, err *Error, keep bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x.out, x.err = out, err
	close(x.done)
	if !keep {
		o.drop(x)
		return
	}
	x.until = time.Now().Add(keyTime)
	x.place = o.ended.PushBack(x)
}

// errUnknownOutcome is what repeats are told of a call that was cut short.
var errUnknownOutcome = Errorf(CodeAborted, "the call with this key was cut short: whether it took effect is not known")

// hasKey reports whether the client has given the call a key.
func (x *call) hasKey() bool {
	m := &x.m
	return m.room != nil && !m.binary && x.c.form.Envelope() && m.room.found[memberKey].Found()
}

// once is invoke for the first call with a key, and returns what came of it for
// the others.
func (x *call) once() (any, error) {
	of, err := x.keyed()
	if err != nil {
		return nil, err
	}
	all := &x.c.core.outcomes
	o, first, err := all.claim(of, x.m.data)
	if err != nil {
		return nil, err
	}
	if !first {
		select {
		case <-o.done:
		case <-x.Done():
			return nil, x.Err()
		}
		if o.err != nil {
			return nil, o.err
		}
		return o.out, nil
	}
	settled := false
	defer func() {
		if !settled { // a panic, or the goroutine was ended
			all.settle(o, nil, errUnknownOutcome, false)
		}
	}()
	out, failed := x.invoke()
	settled = true
	e, keep := x.kept(out, failed)
	all.settle(o, out, e, keep)
	return out, failed
}

// keyed returns the key of the call with its scope.
func (x *call) keyed() (keyed, *Error) {
	key, ok := jsonscan.String(x.m.raw(memberKey))
	switch {
	case !ok || key == "" || len(key) > maxKey:
		return keyed{}, Errorf(CodeInvalidArgument, "a key is a string of 1 to %d bytes", maxKey)
	case x.a.stream:
		return keyed{}, Errorf(CodeInvalidArgument, "streams take no key: they cannot be repeated")
	}
	user := userOf(x.c.liveSession())
	if user == "" {
		return keyed{}, Errorf(CodeInvalidArgument, "a key needs a user: sign in first")
	}
	return keyed{user, x.c.def.name, x.a.route.Key, x.a.route.Action, key}, nil
}

// kept says what of an outcome repeats are told, and for how long: an error
// that says nothing of the function's own work is not kept.
func (x *call) kept(out any, err error) (_ *Error, keep bool) {
	switch {
	case x.aborted.isSet(), x.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return errUnknownOutcome, true
	case err != nil:
		e, _ := find(err)
		if e == nil {
			return errUnknownOutcome, false
		}
		switch e.Code {
		case CodeInternal, CodeUnavailable, CodeResourceExhausted, CodeUnauthenticated:
			return errUnknownOutcome, false
		}
		return e, true
	case out == nil:
		return nil, true
	}
	if data, err := appendValue(nil, x.a.fn.out, x.a.out, out); err != nil || len(data) > keyResult {
		return Errorf(CodeAborted, "the call with this key has run, but its result is too large to be repeated"), true
	}
	return nil, true
}
