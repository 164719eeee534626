//go:build !race

package client

import (
	"bytes"
	"context"
	"testing"
)

// echoLink answers each call at once.
type echoLink struct {
	answers chan []byte
	ended   chan struct{}
}

func (l *echoLink) read() (message, error) {
	select {
	case a := <-l.answers:
		return message{data: a}, nil
	case <-l.ended:
		return message{}, &ending{code: CloseLost}
	}
}

func (l *echoLink) write(batch []message) error {
	for _, m := range batch {
		rest, isCall := bytes.CutPrefix(m.data, []byte(`{"id":`))
		if !isCall {
			l.answers <- []byte(`{"open":{"id":"c1","max":65536,"calls":32,"ping":0}}`)
			continue
		}
		id, _, _ := bytes.Cut(rest, []byte(","))
		a := append(append(make([]byte, 0, 64), `{"re":`...), id...)
		l.answers <- append(a, `,"out":{"message":"hello"}}`...)
	}
	return nil
}

func (l *echoLink) textOnly() bool { return false }

func (l *echoLink) close(CloseCode) { l.abort() }

func (l *echoLink) abort() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
}

type note struct {
	Message string `json:"message"`
}

func echoed(tb testing.TB) func() {
	l := &echoLink{answers: make(chan []byte, 64), ended: make(chan struct{})}
	c := newConn(Spec{}, settings{timeout: 1e10, queue: 64, random: func() float64 { return 0 }, webSocket: func(_ context.Context, hello []byte) (link, error) { return l, l.write([]message{{data: hello}}) }})
	c.start()
	tb.Cleanup(func() {
		c.Close()
		<-c.Done()
	})
	return func() {
		if v, err := Call[note](tb.Context(), c, "", "say", note{"hello"}); err != nil || v.Message != "hello" {
			tb.Error(v, err)
		}
	}
}

// callBudget is how many allocations a call costs the client, from the typed
// input to the typed result; the test's own server makes one of them.
const callBudget = 17

func TestCallAllocations(t *testing.T) {
	call := echoed(t)
	call()
	if n := testing.AllocsPerRun(2000, call); n > callBudget {
		t.Errorf("a call makes %.1f allocations, the budget is %d", n, callBudget)
	} else {
		t.Logf("%.1f allocations", n)
	}
}

func BenchmarkCallAlone(b *testing.B) {
	call := echoed(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
