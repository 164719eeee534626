package kanava_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// loop is a host as a test wants it.
type loop struct{ lost bool }

func (l *loop) Waits() bool { return !l.lost }

// goroutineID names the goroutine that it runs on.
func goroutineID() string {
	var b [64]byte
	return strings.Fields(string(b[:runtime.Stack(b[:], false)]))[1]
}

// lending is a connection to a channel with the action "run", whose messages
// are worked off on the goroutine of the test.
type lending struct {
	t    *testing.T
	peer *peer
	link *kanava.Link
	host *loop
	got  []string
}

func lend(t *testing.T, f func(ctx context.Context, n int) error, opts ...kanava.FuncOption) *lending {
	t.Helper()
	type in struct {
		N int `json:"n"`
	}
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}}, wiring{
		Public:   true,
		Messages: by(kanava.On("run", func(ctx context.Context, _ *line, in in) (in, error) { return in, f(ctx, in.N) }, opts...)),
	})
	l := &lending{t: t, peer: newPeer(), host: &loop{}}
	l.link = openIn(t, srv, plainForm, "/test", l.peer)
	return l
}

// run sends a message and works off what there is.
func (l *lending) run(n int) {
	if _, work := l.link.Accept(fmt.Appendf(nil, `{"action":"run","n":%d}`, n), false); work {
		l.link.Work(l.host)
	}
}

// want waits for the replies to these messages, in order.
func (l *lending) want(ns ...int) {
	l.t.Helper()
	var want []string
	for _, n := range ns {
		want = append(want, fmt.Sprintf(`{"n":%d,"action":"run"}`, n))
	}
	late := time.After(20 * time.Second)
	for len(l.got) < len(want) {
		frames, _ := l.link.Take(nil, 1<<16)
		for _, f := range frames {
			l.got = append(l.got, string(f.Data))
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-l.peer.woken:
		case <-late:
			l.t.Fatalf("got %q, want %q", l.got, want)
		}
	}
	if !slices.Equal(l.got, want) {
		l.t.Errorf("got %q, want %q", l.got, want)
	}
	l.got = nil
}

// A function runs on the goroutine that is lent to it.
func TestFunctionsRunOnTheHost(t *testing.T) {
	var on string
	l := lend(t, func(context.Context, int) error { on = goroutineID(); return nil })
	l.run(1)
	if on != goroutineID() {
		t.Error("the function has run elsewhere")
	}
	l.want(1)
}

// One that has held up its host runs on goroutines of its own from then on, and
// in order, until it was short for many times.
func TestAFunctionThatTakesLongLeavesTheHost(t *testing.T) {
	var l *lending
	on := make(chan string, 100)
	entered, goOn := make(chan struct{}, 100), make(chan struct{}, 100)
	l = lend(t, func(_ context.Context, n int) error {
		on <- goroutineID()
		switch n {
		case 1:
			l.host.lost = true // the host has gone on without it
		case 2:
			entered <- struct{}{}
			<-goOn
		}
		return nil
	})
	l.run(1)
	l.want(1)
	<-on
	l.host = &loop{}
	l.run(2) // returns, though the function has not
	<-entered
	if <-on == goroutineID() {
		t.Error("a function that takes long has run on the host again")
	}
	l.run(3)
	l.run(4)
	goOn <- struct{}{}
	l.want(2, 3, 4)
	for len(on) > 0 {
		<-on
	}
	for n := 5; ; n++ {
		l.run(n)
		l.want(n)
		if <-on == goroutineID() {
			break // it is short by now
		}
		if n == 100_000 {
			t.Fatal("a function that is short never comes back to the host")
		}
	}
}

// What waits behind a function that ends its goroutine is worked off.
func TestAFunctionEndsItsHost(t *testing.T) {
	l := lend(t, func(_ context.Context, n int) error {
		if n == 1 {
			runtime.Goexit()
		}
		return nil
	})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for n := 1; n <= 3; n++ {
			l.link.Accept(fmt.Appendf(nil, `{"action":"run","n":%d}`, n), false)
		}
		l.link.Work(l.host)
	}()
	<-over
	for got := 0; got < 3; { // an error, and two replies
		<-l.peer.woken
		frames, _ := l.link.Take(nil, 1<<16)
		got += len(frames)
		for len(frames) > 0 {
			frames, _ = l.link.Take(nil, 1<<16)
			got += len(frames)
		}
	}
}

// The host does not wait for a client that does not read its replies.
func TestTheHostDoesNotWaitForRoom(t *testing.T) {
	l := lend(t, func(context.Context, int) error { return nil })
	n := 0
	for more := true; more; n++ {
		if n > 100_000 {
			t.Fatal("the client may send without end")
		}
		var work bool
		if more, work = l.link.Accept(fmt.Appendf(nil, `{"action":"run","n":%d}`, n), false); work {
			l.link.Work(l.host)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	l.want(all...)
}
