package client

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var worlds = []struct {
	name   string
	faults worldFaults
}{
	{"reconnects only", worldFaults{cut: true}},
	{"slow consumer", worldFaults{cut: true, slow: true}},
	{"Except and middleware", worldFaults{cut: true, filter: true}},
	{"engine restart", worldFaults{cut: true, restart: true}},
	{"loss between engine and node", worldFaults{cut: true, link: true}},
	{"unsubscribe and subscribe again", worldFaults{cut: true, unsub: true}},
	{"history expires", worldFaults{cut: true, expire: true}},
	{"recover is refused", worldFaults{cut: true, busy: true, expire: true}},
	{"stateless: reordered and lost", worldFaults{cut: true, stateless: true}},
	{"stateless with all of it", worldFaults{cut: true, filter: true, restart: true, expire: true, stateless: true, busy: true}},
	{"stateful with all of it", worldFaults{cut: true, slow: true, filter: true, restart: true, link: true, expire: true, busy: true}},
}

// Whatever happens, the application sees each event once and in order, or is
// told what it has not seen (the model of recovery, with small
// counterexamples).
func TestD5_D6_D7_ExactlyOnceOrLost(t *testing.T) {
	for _, tt := range worlds {
		t.Run(tt.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }, tt.faults)
				if j := w.run(100); len(j.faults) > 0 {
					t.Fatalf("%v", j.faults)
				}
			})
		})
	}
}

// The same in long runs, of which there are many.
func TestD5_D6_D7_ManyWorlds(t *testing.T) {
	const runs = 300
	for _, tt := range worlds {
		t.Run(tt.name, func(t *testing.T) {
			got, lost := 0, 0
			for seed := range uint64(runs) {
				r := rand.New(rand.NewPCG(seed, 1))
				j := newWorld(r.IntN, tt.faults).run(300)
				if len(j.faults) > 0 {
					t.Fatalf("seed %d: %v", seed, j.faults)
				}
				got += j.got
				lost += j.lost
			}
			if got < 2*runs {
				t.Errorf("%d events in %d runs: a model in which little is delivered proves little", got, runs)
			}
			if (tt.faults.restart || tt.faults.expire) && lost < runs/10 {
				t.Errorf("lost was told %d times in %d runs", lost, runs)
			}
		})
	}
}

// recorder is a topicLink that remembers.
type recorder struct {
	got  []uint64
	asks []Position
	held int
}

func (r *recorder) deliver(ev *topicEvent)  { r.got = append(r.got, ev.at.Offset) }
func (r *recorder) lost(Position, Position) {}
func (r *recorder) again(time.Duration)     {}

func (r *recorder) ask(from Position) bool {
	r.asks = append(r.asks, from)
	return true
}

func (r *recorder) hold(n int) (tooMany bool) {
	r.held += n
	return r.held > 100
}

// Held events are bounded in bytes too, and the chain finds what was dropped.
func TestD5_HeldBytes(t *testing.T) {
	r := &recorder{}
	s := &topicState{link: r}
	s.subscribed(Position{"x", 0}, "recoverable")
	for o := uint64(2); o < 50; o++ {
		s.event(topicEvent{at: Position{"x", o}, before: o - 1, data: make([]byte, 30)})
	}
	if len(s.held) != 3 || r.held != 90 || len(r.asks) != 1 {
		t.Fatalf("%d events of %d bytes are held, %d asked", len(s.held), r.held, len(r.asks))
	}
	s.event(topicEvent{at: Position{"x", 50}, before: 49, data: make([]byte, 200)}) // more than all
	if r.held > 100 {
		t.Fatalf("%d events are held", len(s.held))
	}
	s.answer(&page{ok: true, at: Position{"x", 50}, events: []topicEvent{{at: Position{"x", 50}, before: 0}}}, nil)
	if len(r.got) != 1 || r.got[0] != 50 || r.held != 0 {
		t.Errorf("got %v, %d bytes held", r.got, r.held)
	}
}

// Only the newest of a Latest topic's key is delivered, for a bounded number of
// keys.
func TestD5_LatestKeys(t *testing.T) {
	r := &recorder{}
	s := &topicState{link: r}
	s.subscribed(Position{"x", 0}, "latest")
	for _, ev := range []struct {
		key string
		o   uint64
	}{{"a", 2}, {"a", 1}, {"b", 1}, {"a", 2}, {"a", 3}} {
		s.event(topicEvent{at: Position{"x", ev.o}, key: ev.key})
	}
	if len(r.got) != 3 {
		t.Errorf("got %v, want 2 1 3", r.got)
	}
	for o := range uint64(5000) {
		s.event(topicEvent{at: Position{"x", 10 + o}, key: epoch(int(o))})
	}
	if len(s.newest) > maxLatest || len(s.keys) != len(s.newest) {
		t.Errorf("%d keys are kept", len(s.newest))
	}
}
