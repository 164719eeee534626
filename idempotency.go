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
	keyTime   = 5 * time.Minute
	keyResult = 64 << 10 // bytes of a result
	maxKey    = 256      // bytes of a key
)

// room is how much may be kept: outcomes, with the calls that run, and bytes.
type room struct{ count, bytes int }

var (
	roomOfUser = room{256, 1 << 20}
	roomOfAll  = room{16 << 10, 64 << 20}
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
	size  int // bytes of what is kept; 0 while the call runs
	until time.Time

	ofAll, ofUser *list.Element // in ended of both shelves; nil while the call runs
}

// shelf is what is kept together: of one user, or of the server.
type shelf struct {
	used  room
	most  room
	ended list.List // of *outcome, by until
}

// outcomes are those of a server.
type outcomes struct {
	mu     sync.Mutex
	known  map[keyed]*outcome // guarded by mu
	all    shelf              // guarded by mu
	byUser map[string]*shelf  // guarded by mu
	ofUser room
}

func newOutcomes(ofUser, ofAll room) *outcomes {
	return &outcomes{known: make(map[keyed]*outcome), all: shelf{most: ofAll}, byUser: make(map[string]*shelf), ofUser: ofUser}
}

// claim returns the outcome of the call, and whether the caller is the one who
// has to find it.
func (o *outcomes) claim(of keyed, input []byte) (_ *outcome, first bool, _ *Error) {
	now, sum := time.Now(), sha256.Sum256(input)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(now)
	if known := o.known[of]; known != nil {
		if known.input != sum {
			return nil, false, Errorf(CodeInvalidArgument, "this key was used for another input")
		}
		return known, false, nil
	}
	if u := o.byUser[of.user]; u != nil && !o.makePlace(u) || !o.makePlace(&o.all) {
		return nil, false, Errorf(CodeResourceExhausted, "too many calls with keys are running")
	}
	u := o.byUser[of.user]
	if u == nil {
		u = &shelf{most: o.ofUser}
		o.byUser[of.user] = u
	}
	x := &outcome{of: of, input: sum, done: make(chan struct{})}
	o.known[of] = x
	o.all.used.count++
	u.used.count++
	return x, true, nil
}

// makePlace makes sure that one more outcome has a place; o.mu is held.
func (o *outcomes) makePlace(s *shelf) bool { return s.used.count < s.most.count || o.dropOldest(s) }

// forget drops what was kept for long enough; o.mu is held.
func (o *outcomes) forget(now time.Time) {
	for e := o.all.ended.Front(); e != nil && !now.Before(e.Value.(*outcome).until); e = o.all.ended.Front() {
		o.drop(e.Value.(*outcome))
	}
}

// dropOldest drops what has been on a shelf for longest. It reports false if
// all calls of the shelf still run; o.mu is held.
func (o *outcomes) dropOldest(s *shelf) bool {
	oldest := s.ended.Front()
	if oldest == nil {
		return false
	}
	o.drop(oldest.Value.(*outcome))
	return true
}

func (o *outcomes) drop(x *outcome) {
	delete(o.known, x.of)
	u := o.byUser[x.of.user]
	o.all.remove(x, x.ofAll)
	u.remove(x, x.ofUser)
	if u.used.count == 0 {
		delete(o.byUser, x.of.user)
	}
}

func (s *shelf) remove(x *outcome, at *list.Element) {
	s.used.count--
	if at != nil {
		s.used.bytes -= x.size
		s.ended.Remove(at)
	}
}

func (s *shelf) add(x *outcome) *list.Element {
	s.used.bytes += x.size
	return s.ended.PushBack(x)
}

// settle says what came of the call that x was claimed for, and how many bytes
// that is. If it is not kept, who waits for it is told that it is not known,
// and the next call runs.
func (o *outcomes) settle(x *outcome, out any, err *Error, size int, keep bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x.err = err; err == nil {
		x.out = out
	}
	close(x.done)
	if !keep {
		o.drop(x)
		return
	}
	x.size = size + len(x.of.user) + len(x.of.key)
	x.until = time.Now().Add(keyTime)
	u := o.byUser[x.of.user]
	x.ofAll, x.ofUser = o.all.add(x), u.add(x)
	for _, s := range []*shelf{u, &o.all} {
		for s.used.bytes > s.most.bytes && o.dropOldest(s) {
		}
	}
}

// errUnknownOutcome is what repeats are told of a call that was cut short.
var errUnknownOutcome = Errorf(CodeAborted, "the call with this key was cut short: whether it took effect is not known")

// errOutcomeTooLarge is what they are told of one that is not worth its room.
var errOutcomeTooLarge = Errorf(CodeAborted, "the call with this key has run, but its result is too large to be repeated")

// hasKey reports whether the client has given the call a key, and that counts.
func (x *call) hasKey() bool {
	m := &x.m
	return m.room != nil && !m.binary && !x.a.keyless && x.c.form.Envelope() && m.room.found[memberKey].Found()
}

// once is invoke for the first call with a key, and returns what came of it for
// the others.
func (x *call) once() (any, error) {
	if x.c.visit() != nil {
		return nil, Errorf(CodeUnimplemented, "no results of calls with keys are kept here")
	}
	of, err := x.keyed()
	if err != nil {
		return nil, err
	}
	all := x.c.core.outcomes
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
		if !settled { // a panic, also of what encodes the result, or the goroutine was ended
			all.settle(o, nil, errUnknownOutcome, 0, false)
		}
	}()
	out, failed := x.invoke()
	e, size, keep := x.kept(out, failed)
	settled = true
	all.settle(o, out, e, size, keep)
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

// kept says what of an outcome repeats are told, an error or the result, how
// many bytes that is, and whether it is kept: an error that says nothing of the
// function's own work is not.
func (x *call) kept(out any, err error) (_ *Error, size int, keep bool) {
	switch {
	case x.aborted.isSet(), x.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return errUnknownOutcome, 0, true
	case err != nil:
		e, _ := find(err)
		if e == nil {
			return errUnknownOutcome, 0, false
		}
		switch e.Code {
		case CodeInternal, CodeUnavailable, CodeResourceExhausted, CodeUnauthenticated:
			return errUnknownOutcome, 0, false
		}
		e = e.Because(nil) // the cause was logged: it is not needed any more, and can hold anything
		if size = e.size(); size > keyResult {
			return errOutcomeTooLarge, 0, true
		}
		return e, size, true
	case out == nil:
		return nil, 0, true
	}
	data, err := appendValue(nil, x.a.fn.out, x.a.out, out)
	if err != nil || len(data) > keyResult {
		return errOutcomeTooLarge, 0, true
	}
	return nil, len(data), true
}
