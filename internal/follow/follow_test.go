package follow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// faulty is an engine some of whose events get lost on the way.
type faulty struct {
	engine.Engine
	handler engine.Handler
	n       int
	lose    func(n int) bool // asked for each event
}

func (e *faulty) Start(h engine.Handler) {
	e.handler = h
	e.Engine.Start(e)
}

func (e *faulty) Deliver(topic string, events []engine.Event) {
	events = slices.DeleteFunc(events, func(engine.Event) bool {
		e.n++
		return e.lose(e.n)
	})
	if len(events) > 0 {
		e.handler.Deliver(topic, events)
	}
}

func (e *faulty) Resumed(topics ...string) { e.handler.Resumed(topics...) }

// report is a test that notes what is wrong, and does not fail.
type report struct {
	testing.TB
	errors []string
}

func (r *report) Helper()             {}
func (r *report) Logf(string, ...any) {}
func (r *report) Error(args ...any)   { r.errors = append(r.errors, fmt.Sprint(args...)) }

func (r *report) Errorf(text string, arg ...any) {
	r.errors = append(r.errors, fmt.Sprintf(text, arg...))
}

// run follows two publishers until they have said some things.
func run(t *testing.T, r *report, e engine.Engine) (*Follower, []*Publisher) {
	t.Helper()
	topic := engine.Topic{Name: "t", Class: engine.Recoverable, Size: 10_000, TTL: time.Hour}
	f := Begin(r, e, topic)
	publishers := []*Publisher{{Broker: e, Topic: topic, Name: "a"}, {Broker: e, Topic: topic, Name: "b"}}
	var writing, reading sync.WaitGroup
	stop, end := make(chan struct{}), make(chan struct{})
	for _, p := range publishers {
		writing.Go(func() { p.Run(stop) })
	}
	reading.Go(func() { f.Run(end) })
	some := time.Now().Add(time.Minute)
	for tick := time.Tick(time.Millisecond); time.Now().Before(some); <-tick { // until there is something kept
		page, err := e.Read(context.Background(), topic, engine.Position{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) >= 100 {
			break
		}
	}
	close(stop)
	writing.Wait()
	close(end)
	reading.Wait()
	return f, publishers
}

// What was lost on the way is read: nothing is missing at the end.
func TestWhatIsMissedIsRead(t *testing.T) {
	e := &faulty{Engine: memory.New().Engine(), lose: func(n int) bool { return n%3 == 0 }}
	r := &report{TB: t}
	f, publishers := run(t, r, e)
	f.Check(publishers, false)
	if len(r.errors) > 0 || len(f.texts) < 100 || f.lost != 0 {
		t.Errorf("%d events came, %d times lost: %q", len(f.texts), f.lost, r.errors)
	}
}

// Check sees each thing that may go wrong.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		spoil   func(f *Follower, p *Publisher)
		mayLose bool
		want    string // "" for nothing
	}{
		{"all is well", func(*Follower, *Publisher) {}, false, ""},
		{"one is missing", func(f *Follower, _ *Publisher) { f.texts = slices.Delete(f.texts, 5, 6) }, false, "1 events are missing, and nobody was told"},
		{"one came twice", func(f *Follower, _ *Publisher) { f.texts = append(f.texts, f.texts[5]) }, false, "came 2 times"},
		{"out of order", func(f *Follower, _ *Publisher) { slices.Reverse(f.texts) }, false, "came after"},
		{"lost", func(f *Follower, _ *Publisher) { f.lost++ }, false, "something was lost"},
		{"lost, as it may be", func(f *Follower, _ *Publisher) { f.lost++; f.texts = f.texts[5:] }, true, ""},
		{"not told", func(*Follower, *Publisher) {}, true, "nobody was told"},
		{"a publication that waits", func(_ *Follower, p *Publisher) { p.most = time.Minute }, false, "took 1m0s"},
		{"nothing is said", func(f *Follower, p *Publisher) { f.texts, p.texts = nil, nil }, false, "nothing was published"},
		{"nobody's words", func(f *Follower, _ *Publisher) { f.texts = append(f.texts, "?") }, false, "nobody has said"},
	} {
		r := &report{TB: t}
		p := &Publisher{Name: "a"}
		for i := range 20 {
			p.texts = append(p.texts, fmt.Sprint("a ", i))
		}
		f := &Follower{tb: r, texts: slices.Clone(p.texts)}
		tt.spoil(f, p)
		f.Check([]*Publisher{p}, tt.mayLose)
		if got := strings.Join(r.errors, "; "); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
