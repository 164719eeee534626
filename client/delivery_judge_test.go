package client

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// said is one event as it was published. It knows what a client may know of it.
type said struct {
	Gen int    `json:"gen"` // of the server: it is started again with nothing
	N   uint64 `json:"n"`   // its offset
	Key string `json:"key"` // of a Latest topic

	Drop bool `json:"drop"` // outgoing middleware drops it

	except int       `json:"-"` // the client that it is kept from; -1 for none
	dials  int32     `json:"-"` // how often that client had connected, or tried to since
	when   time.Time `json:"-"`
}

func (s *said) hidden(client int) bool { return s.Drop || s.except == client }

// judge knows everything that was published on one topic and nothing of the
// state of client or server. It judges what one client is told, by the rules of
// docs/protocol.md section 4. The first fault stands.
type verdict struct {
	client int
	dials  *atomic.Int32 // how often the client has connected
	topic  *story
	fault  string

	known bool // the client is subscribed, or was when it lost its connection
	gen   int  // it knows of everything up to here, as is n
	n     uint64

	outside   []int       // the offset at which the server undid the subscription, none while it stands
	secret    [][3]uint64 // ranges (gen, after, to] of a Private topic that were never its to see
	left      time.Time   // when it lost its subscription; zero while it has one
	lapsed    bool        // it was without a session for a time
	newest    map[string]said
	again     map[string]bool // keys that may come as they were, after another subscription
	got, lost int
}

// story is all that happened on one topic.
type story struct {
	name    string
	class   string
	private bool
	all     map[int][]said // by generation; offsets are 1, 2, …
	epochs  map[string]int
}

const (
	wasMost   = 8 // connections that a client says it had before
	storySize = 20
	storyTTL  = time.Minute
)

func (v *verdict) blame(format string, args ...any) {
	if v.fault == "" {
		v.fault = fmt.Sprintf("client %d, %s: ", v.client, v.topic.name) + fmt.Sprintf(format, args...)
	}
}

// missing returns the first event after one offset and up to another that the
// client should have got, 0 if there is none.
func (v *verdict) missing(gen int, after, to uint64) uint64 {
	for i := after; i < to && i < uint64(len(v.topic.all[gen])); i++ {
		if ev := &v.topic.all[gen][i]; !ev.hidden(v.client) {
			return ev.N
		}
	}
	return 0
}

// told is an event.
func (v *verdict) told(got said) {
	v.got++
	switch all := v.topic.all[got.Gen]; {
	case got.N == 0 || got.N > uint64(len(all)):
		v.blame("D1: event %d of generation %d was never published", got.N, got.Gen)
		return
	case all[got.N-1].except == v.client && v.dials.Load()-all[got.N-1].dials < wasMost:
		v.blame("D9: event %d is excepted, and delivered", got.N)
	case got.Drop:
		v.blame("D8: event %d is dropped by middleware, and delivered", got.N)
	case !v.known:
		v.blame("D3: event %d comes without a subscription", got.N)
	}
	for _, r := range v.secret {
		if got.Gen == int(r[0]) && got.N > r[1] && got.N <= r[2] {
			v.blame("D10: event %d is from before the client was subscribed again, at %d", got.N, r[2])
		}
	}
	switch v.topic.class {
	case "latest":
		last, seen := v.newest[got.Key]
		if seen && (got.Gen < last.Gen || got.Gen == last.Gen && (got.N < last.N || got.N == last.N && !v.again[got.Key])) {
			v.blame("D5: %q is %d after %d", got.Key, got.N, last.N)
		}
		v.newest[got.Key] = got
		delete(v.again, got.Key)
		return
	case "volatile":
		if got.Gen < v.gen || got.Gen == v.gen && got.N <= v.n {
			v.blame("D5: event %d after %d", got.N, v.n)
		}
	default:
		switch {
		case got.Gen != v.gen:
			v.blame("D2: event %d is of generation %d, and generation %d was not declared lost", got.N, got.Gen, v.gen)
		case got.N <= v.n:
			v.blame("D5: event %d after %d", got.N, v.n)
		case v.missing(got.Gen, v.n, got.N-1) != 0:
			v.blame("D5: event %d after %d, without %d", got.N, v.n, v.missing(got.Gen, v.n, got.N-1))
		}
	}
	v.gen, v.n = got.Gen, got.N
}

// declared is that events are lost.
func (v *verdict) declared(l Lost) {
	v.lost++
	from, known := v.topic.epochs[l.From.Epoch]
	to, alsoKnown := v.topic.epochs[l.To.Epoch]
	switch {
	case !known || !alsoKnown || l.To.Offset > uint64(len(v.topic.all[to])) || l.From.Offset > uint64(len(v.topic.all[from])):
		v.blame("D6: lost from %v to %v, which never was", l.From, l.To)
	case v.topic.class != "ordered" && v.topic.class != "recoverable":
		v.blame("D6: lost from %v to %v of a topic that has no order", l.From, l.To)
	case from != v.gen || l.From.Offset < v.n || v.missing(from, v.n, l.From.Offset) != 0:
		v.blame("D6: lost from %v, but the client knows up to %d of generation %d", l.From, v.n, v.gen)
	case from == to && l.To.Offset <= l.From.Offset || to < from:
		v.blame("D6: lost from %v back to %v", l.From, l.To)
	case v.topic.class == "recoverable" && !v.excused(from, l.From.Offset):
		v.blame("D6: lost from %v to %v, but it was kept", l.From, l.To)
	}
	v.gen, v.n = to, l.To.Offset
}

// excused reports whether what followed a position need not have been
// recovered.
func (v *verdict) excused(gen int, n uint64) bool {
	if _, later := v.topic.all[gen+1]; later { // the server has started again
		return true
	}
	all := v.topic.all[gen]
	kept := n+storySize >= uint64(len(all)) && (n == uint64(len(all)) || time.Since(all[n].when) < storyTTL)
	away := !v.left.IsZero() && time.Since(v.left) > positionTime
	return !kept || away || v.lapsed || v.topic.private
}

// undone is that the server unsubscribes the client, and done that it subscribes
// it, in a generation.
func (v *verdict) undone(gen int) {
	if v.topic.private && len(v.outside) == 0 {
		v.outside = []int{len(v.topic.all[gen])}
	}
}

func (v *verdict) done(gen int) {
	for _, from := range v.outside {
		v.secret = append(v.secret, [3]uint64{uint64(gen), uint64(from), uint64(len(v.topic.all[gen]))})
	}
	v.outside = nil
}

// subscribed is a sub frame.
func (v *verdict) subscribed(at Position) {
	if !v.known {
		v.known, v.gen, v.n = true, v.topic.epochs[at.Epoch], at.Offset
	}
}

// ended is an unsub frame.
func (v *verdict) ended() {
	v.known = false
	v.again = map[string]bool{}
	for key := range v.newest {
		v.again[key] = true
	}
}

// over is the end, at which nothing is on its way any more.
func (v *verdict) over(gen int) {
	if v.fault != "" || !v.known {
		return
	}
	all := v.topic.all[gen]
	switch v.topic.class {
	case "ordered", "recoverable":
		if v.gen != gen && len(all) > 0 {
			v.blame("D2: in the end it knows up to %d of generation %d, and nothing of generation %d", v.n, v.gen, gen)
		} else if n := v.missing(gen, v.n, uint64(len(all))); n != 0 {
			v.blame("D5: in the end it knows up to %d, and nothing of %d", v.n, n)
		}
	case "latest":
		newest := map[string]said{}
		for _, ev := range all {
			newest[ev.Key] = ev
		}
		for key, ev := range newest {
			if last := v.newest[key]; !ev.hidden(v.client) && (last.Gen != gen || last.N != ev.N) {
				v.blame("D3: in the end %q is %d, not %d", key, last.N, ev.N)
			}
		}
	}
}

func ruleOf(fault string) string {
	_, rest, _ := strings.Cut(fault, ": ")
	rule, _, _ := strings.Cut(rest, ":")
	return rule
}
