package enginetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava/engine"
)

var endBehaviours = []behaviour{
	{name: "methods return when their context ends", run: testCancel},
	{name: "after Close methods return ErrClosed, and nothing is delivered or left over", run: testClose},
	{name: "Close waits until what was published is sent", run: testCloseSends},
	{name: "methods that run while the engine is closed return", run: testCloseWhile},
	{name: "one node leaves and the others go on", run: testLeave},
}

// method is one of an engine that take a context, Close apart.
type method struct {
	name      string
	call      func(ctx context.Context) error
	mayBeLost bool // what it does, though it returns nil
}

// methods returns all methods of an engine, with something to do.
func methods(l *lab, e engine.Engine) []method {
	rec, vol, quiet := l.topic(engine.Recoverable), l.topic(engine.Volatile), l.topic(engine.Recoverable)
	var all []method
	if s, ok := e.(engine.Stamper); ok {
		all = append(all, method{name: "PublishStamped", call: func(ctx context.Context) error {
			_, _, err := s.PublishStamped(ctx, rec, event("x"))
			return err
		}})
	}
	return append(all, []method{
		{name: "Publish", call: func(ctx context.Context) error { return e.Publish(ctx, rec, event("x")) }},
		{name: "Publish of a Volatile topic", call: func(ctx context.Context) error { return e.Publish(ctx, vol, event("x")) }, mayBeLost: true},
		{name: "Subscribe", call: func(ctx context.Context) error {
			defer e.Unsubscribe(quiet)
			return e.Subscribe(ctx, quiet)
		}, mayBeLost: true}, // Resumed follows
		{name: "Positions", call: func(ctx context.Context) error {
			_, err := e.Positions(ctx, []engine.Topic{rec})
			return err
		}},
		{name: "Read", call: func(ctx context.Context) error {
			_, err := e.Read(ctx, rec, engine.Position{}, 10)
			return err
		}},
		{name: "Probe", call: e.Probe},
		{name: "Renew", call: func(ctx context.Context) error {
			_, err := e.Renew(ctx, l.name(), time.Minute)
			return err
		}},
		{name: "Owners", call: func(ctx context.Context) error {
			_, err := e.Owners(ctx)
			return err
		}},
		{name: "Put", call: func(ctx context.Context) error {
			return e.Put(ctx, engine.Entry{Group: l.name(), Member: "m", Owner: "o", Lasts: time.Second})
		}},
		{name: "Entries", call: func(ctx context.Context) error {
			var last error
			for _, err := range e.Entries(ctx, l.name()) {
				last = err
			}
			return last
		}},
		{name: "Keep", call: func(ctx context.Context) error {
			_, err := e.Keep(ctx, l.name(), []byte("x"), time.Second)
			return err
		}},
		{name: "Forget", call: func(ctx context.Context) error { return e.Forget(ctx, l.name()) }},
	}...)
}

// promptly is how long a method may go on when its context has ended. Machines
// that run tests are busy.
const promptly = 3 * time.Second

// ends fails the test unless a method returns soon when its context ends after
// d. It returns the error of the method.
func ends(l *lab, m method, d time.Duration) error {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.call(ctx) }()
	late := time.NewTimer(d + promptly)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		l.Fatalf("%s goes on though its context ended %v ago", m.name, promptly)
		return nil
	}
}

func testCancel(l *lab) {
	n := l.join()
	for _, m := range methods(l, n.Engine) {
		if err := n.call(m.call); err != nil {
			l.Errorf("%s: %v", m.name, err)
		}
		_ = ends(l, m, -time.Second) // done or not
		_ = ends(l, m, 50*time.Microsecond)
		if err := n.call(m.call); err != nil {
			l.Errorf("%s, after others were broken off: %v", m.name, err)
		}
	}
}

func testClose(l *lab) {
	other := l.join()
	other.probe()
	e := l.b.New(l.TB) // what the backend needs for it does not count
	there := goleak.IgnoreCurrent()
	n := l.start(e, false)
	var topics []engine.Topic
	for _, class := range all {
		t := l.topic(class)
		topics = append(topics, t)
		n.subscribe(t)
		other.publish(t, "x")
		n.await(t, 1)
	}
	n.renew(l.name(), time.Minute)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			for _, t := range topics {
				if err := other.tryPublish(t, event("y")); err != nil {
					stopped <- err
					return
				}
			}
			l.pass(time.Millisecond)
		}
	}()
	for _, t := range topics {
		n.await(t, 5)
	}
	n.leave()
	for _, m := range methods(l, n.Engine) {
		if err := n.call(m.call); !errors.Is(err, engine.ErrClosed) {
			l.Errorf("%s after Close: %v, want ErrClosed", m.name, err)
		}
	}
	n.Unsubscribe(topics[0])
	l.pass(20 * time.Millisecond) // in which nothing comes of what is published
	close(stop)
	if err := <-stopped; err != nil {
		l.Errorf("Publish at the other node: %v", err)
	}
	other.probe()
	n.check()
	err := goleak.Find(there)
	for range 20 { // libraries let connections go a while after they were closed
		if err == nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
		err = goleak.Find(there)
	}
	l.Errorf("10 s after Close: %v", err)
}

func testCloseSends(l *lab) {
	n := l.join()
	for _, class := range all {
		t := l.topic(class)
		n.subscribe(t)
		leaving := l.join()
		leaving.publish(t, numbers(1, 50)...)
		leaving.leave()
		n.await(t, 50)
	}
}

func testCloseWhile(l *lab) {
	n, other := l.join(), l.join()
	busy := make(chan struct{}, 1000)
	done := make(chan error, 100)
	ms := methods(l, n.Engine)
	for _, m := range ms {
		go func() {
			for {
				err := n.call(m.call)
				if err != nil {
					if errors.Is(err, engine.ErrClosed) {
						err = nil
					} else {
						err = fmt.Errorf("%s while the engine is closed: %w", m.name, err)
					}
					done <- err
					return
				}
				select {
				case busy <- struct{}{}:
				default:
				}
			}
		}()
	}
	for range 2 * len(ms) {
		receive(l, "methods run", busy)
	}
	n.leave()
	for range ms {
		if err := receive(l, "methods return", done); err != nil {
			l.Error(err)
		}
	}
	other.probe()
}

func testLeave(l *lab) {
	one, other, third := l.join(), l.join(), l.join()
	for _, class := range all {
		t := l.topic(class)
		for _, n := range []*node{one, other, third} {
			if n != third || class == all[0] {
				n.subscribe(t)
			}
		}
		one.publish(t, "1")
		if class == all[0] {
			third.await(t, 1)
			third.leave()
		}
		other.publish(t, "2")
		one.publish(t, "3")
		one.await(t, 3)
		other.await(t, 3)
	}
	// Another takes its place.
	fourth, t := l.join(), l.topic(engine.Recoverable)
	fourth.subscribe(t)
	one.publish(t, "x")
	fourth.await(t, 1)
}
