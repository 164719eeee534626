package enginetest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a test whose failures are written down. Those of the test around
// it are not.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failures []string
	failed   bool
	cleanups []func()
}

func (r *recorder) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	r.failures = append(r.failures, text)
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Fail() { r.say("Fail") }
func (r *recorder) FailNow() {
	r.mu.Lock()
	r.failed = true
	r.mu.Unlock()
	panic(stopped{})
}

// stopped is the panic by which a recorder stops its test.
type stopped struct{}

// broken is the panic of a mutant.
type broken string

func (r *recorder) Error(args ...any)                 { r.say(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.say(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); r.FailNow() }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); r.FailNow() }
func (*recorder) Log(...any)                          {}
func (*recorder) Logf(string, ...any)                 {}
func (*recorder) Helper()                             {}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// do runs f until it stops.
func (r *recorder) do(f func()) {
	defer func() {
		switch p := recover().(type) {
		case nil, stopped:
		case broken:
			r.say("panic: " + string(p))
		default:
			r.TB.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	f()
}

// try runs a behaviour in virtual time, in a lab that is made there, and returns
// how it failed.
func try(t *testing.T, bh behaviour, in func() *lab) (failures []string) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		r.do(func() {
			l := in()
			l.TB = r
			bh.run(l)
		})
		for _, f := range slices.Backward(r.cleanups) {
			r.do(f)
		}
		time.Sleep(time.Hour) // in which what a mutant has left behind ends
		failures = r.failures
		if r.failed && len(failures) == 0 {
			failures = []string{"FailNow"}
		}
	})
	return failures
}
