// Package enginetest is the suite that every engine passes, also one of your
// own: what package engine promises, tried out on several nodes at once. An
// engine's own test describes it as a [Backend] and calls [Run]; that of a store
// of connections describes it as a [StoreBackend] and calls [RunStore].
//
// The suite wants more than package engine where nothing is wrong: then each
// event comes, and comes once. With faults it may come twice or not at all, as
// long as positions tell.
package enginetest

import (
	"cmp"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Backend is what the suite knows of an engine: how to get one, and how to
// break what they stand on. What is nil is not tried.
type Backend struct {
	// New returns another engine, that of another node, on the ground that all
	// engines of the backend share. It has not been started; the suite closes it.
	// The ground may have been used before, by an earlier run for example.
	New func(tb testing.TB) engine.Engine

	// Cut breaks all connections of an engine that New has returned, and lets it
	// make no new ones until heal is called. The other engines notice nothing.
	// heal may be called twice.
	Cut func(tb testing.TB, e engine.Engine) (heal func())

	// Restart ends the ground and starts it again, with what it kept or without
	// it. It returns when engines can connect.
	Restart func(tb testing.TB, keepData bool)

	// Wipe lets the ground forget all that it keeps, while engines stay connected.
	Wipe func(tb testing.TB)

	patience time.Duration // bounds each wait for what has to happen; 0: 30 s
	checks   int           // of the model; 0: few
}

// Run runs the suite. Each behaviour is a subtest.
func Run(t *testing.T, b Backend) {
	runAll(t, behaviours, &lab{b: b})
}

// runAll runs behaviours, each in a lab like this one.
func runAll(t *testing.T, all []behaviour, like *lab) {
	for _, parallel := range []bool{false, true} { // faults concern all that runs at that time
		for _, bh := range all {
			switch {
			case bh.waits != parallel:
			case !bh.needs.are(like):
				t.Logf("left out, for the backend has no %s: %s", bh.needs, bh.name)
			default:
				t.Run(bh.name, func(t *testing.T) {
					if parallel {
						t.Parallel()
					}
					l := *like
					l.TB = t
					bh.run(&l)
				})
			}
		}
	}
}

// behaviour is one promise.
type behaviour struct {
	name  string // begins with the rule of docs/protocol.md, if it has one
	run   func(l *lab)
	needs needs
	waits bool // most of its time: it runs beside others of this kind
}

// needs is the fault that a behaviour is about.
type needs string

const (
	needsCut     needs = "Cut"
	needsRestart needs = "Restart"
	needsWipe    needs = "Wipe"
	needsLose    needs = "Lose"
)

func (n needs) are(l *lab) bool {
	switch n {
	case needsCut:
		return l.b.Cut != nil || l.stores.Cut != nil
	case needsRestart:
		return l.b.Restart != nil
	case needsWipe:
		return l.b.Wipe != nil
	case needsLose:
		return l.stores.Lose != nil
	}
	return true
}

var behaviours = join(
	orderBehaviours,
	storedBehaviours,
	positionBehaviours,
	retentionBehaviours,
	readBehaviours,
	idBehaviours,
	stampBehaviours,
	payloadBehaviours,
	nameBehaviours,
	subscribeBehaviours,
	manyBehaviours,
	endBehaviours,
	leaseBehaviours,
	entryBehaviours,
	keepBehaviours,
	cutBehaviours,
	restartBehaviours,
	modelBehaviours,
)

func join(groups ...[]behaviour) []behaviour {
	var all []behaviour
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// lab is a test of the suite.
type lab struct {
	testing.TB

	b      Backend
	nodes  []*node      // that were started
	stores StoreBackend // of a test of stores, which has no Backend
}

// patience bounds each wait for what has to happen.
func (l *lab) patience() time.Duration {
	return cmp.Or(l.b.patience, l.stores.patience, 30*time.Second)
}

// topic returns a topic nobody has used, which keeps what a test publishes.
func (l *lab) topic(class engine.Class) engine.Topic {
	t := engine.Topic{Name: "suite:" + strings.ToLower(class.String()) + ":" + rand.Text(), Class: class}
	if class == engine.Recoverable {
		t.Size, t.TTL = 1000, time.Hour
	}
	return t
}

// name returns a name nobody has used.
func (l *lab) name() string { return "suite:" + rand.Text() }

// positioned are the classes that have positions.
var positioned = []engine.Class{engine.Latest, engine.Ordered, engine.Recoverable}

// all are the classes.
var all = []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable}

// eventually waits until cond is true.
func (l *lab) eventually(what string, cond func() bool) {
	l.Helper()
	deadline := time.NewTimer(l.patience())
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			l.Fatalf("not within %v: %s", l.patience(), what)
		}
	}
}

// together runs f on n goroutines and waits for all.
func (l *lab) together(n int, f func(i int) error) {
	l.Helper()
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	for range n {
		if err := <-errs; err != nil {
			l.Error(err)
		}
	}
	if l.Failed() {
		l.FailNow()
	}
}

// receive takes a value from a channel.
func receive[T any](l *lab, what string, from <-chan T) T {
	l.Helper()
	deadline := time.NewTimer(l.patience())
	defer deadline.Stop()
	select {
	case v := <-from:
		return v
	case <-deadline.C:
		l.Fatalf("not within %v: %s", l.patience(), what)
		panic("unreachable")
	}
}
