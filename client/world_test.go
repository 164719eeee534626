package client

import (
	"fmt"
	"slices"
	"time"
)

// A model of one topic: an engine, a node (or many stateless invocations) and
// the client's topicState, interleaved at random with lost connections, slow
// consumers, filters, engines that lose their data, lost and reordered
// deliveries, and expiring history.

// event is what really happened.
type truth struct {
	e, o   int
	hidden bool // not for this client
}

// judge knows all events and none of the client's state. It judges what the
// application sees: each event once and in order, or lost.
type judge struct {
	events  map[[2]int]truth
	seen    map[[2]int]bool
	known   bool
	e, o    int // the application knows of everything up to here
	hiddens [][3]int
	faults  map[string]bool
	got     int
	lost    int
}

func (j *judge) fault(text string) { j.faults[text] = true }

func (j *judge) deliver(e, o int) {
	id := [2]int{e, o}
	ev, was := j.events[id]
	switch {
	case !was:
		j.fault("an event that never was")
	case ev.hidden:
		j.fault("an excluded event")
	case j.seen[id]:
		j.fault("delivered twice")
	}
	j.seen[id] = true
	for _, h := range j.hiddens {
		if h[0] == e && o > h[1] && o <= h[2] {
			j.fault("seen while not subscribed")
		}
	}
	switch {
	case !j.known:
		j.fault("an event before the subscription")
	case j.e != e:
		j.fault("another epoch without a word")
	case o <= j.o:
		j.fault("out of order")
	case j.missing(e, j.o, o-1):
		j.fault("a silent gap")
	}
	j.e, j.o = e, o
	j.got++
}

func (j *judge) tellLost(from, to Position) {
	j.lost++
	if from.Epoch == to.Epoch && to.Offset <= from.Offset {
		j.fault("lost went back")
	}
	j.e, j.o = number(to.Epoch), int(to.Offset)
}

func (j *judge) missing(e, after, to int) bool {
	for o := after + 1; o <= to; o++ {
		if ev, was := j.events[[2]int{e, o}]; was && !ev.hidden {
			return true
		}
	}
	return false
}

func epoch(e int) string { return fmt.Sprint(e) }

func number(text string) (n int) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// fault is what can go wrong in a world.
type worldFaults struct {
	cut, slow, filter, restart, link, unsub, expire, stateless, busy bool
}

const (
	worldHistory = 6
	worldQueue   = 5
	worldPage    = 3
)

// down is a frame on its way to the client.
type down struct {
	kind string // sub, at, on, unsub or answer
	at   Position
	ev   topicEvent
	page *page
	err  *Error
	of   *follower
}

// follower is the client's side: a topicState and its link.
type follower struct {
	topicState
	w     *world
	bytes int
}

type world struct {
	random func(below int) int // from 0
	faults worldFaults
	judge  judge

	e, o         int
	kept         []truth
	link         []truth // from the engine to the node
	nodeE, nodeO int     // what the node has sent

	up, subscribed, behind, announced bool
	early, down                       []down
	asks                              []Position
	tasks, timers                     []func()
	first                             bool // the client has no position
	floored                           bool
	floorE, floorO                    int // nothing before it is recovered
	topic                             *follower
}

func newWorld(random func(below int) int, f worldFaults) *world {
	w := &world{random: random, faults: f, e: 1, nodeE: 1, first: true}
	w.judge = judge{events: map[[2]int]truth{}, seen: map[[2]int]bool{}, faults: map[string]bool{}}
	w.follow()
	w.connect()
	return w
}

func (w *world) follow() {
	w.topic = &follower{w: w}
	w.topic.link = w.topic
}

func (f *follower) deliver(ev *topicEvent) {
	if !ev.empty {
		var e, o int
		_, _ = fmt.Sscanf(string(ev.data), "%d/%d", &e, &o)
		f.w.judge.deliver(e, o)
	}
}

func (f *follower) lost(from, to Position) { f.w.judge.tellLost(from, to) }

func (f *follower) ask(from Position) bool {
	if f.w.random(4) == 0 { // too many are under way
		f.w.timers = append(f.w.timers, f.settle)
		return false
	}
	f.w.asks = append(f.w.asks, from)
	return true
}

func (f *follower) again(time.Duration) { f.w.timers = append(f.w.timers, f.retry) }

func (f *follower) hold(n int) (tooMany bool) {
	f.bytes += n
	return false
}

func (w *world) publish() {
	w.o++
	ev := truth{w.e, w.o, w.faults.filter && w.random(3) == 0}
	w.judge.events[[2]int{ev.e, ev.o}] = ev
	if w.kept = append(w.kept, ev); len(w.kept) > worldHistory {
		w.kept = w.kept[1:]
	}
	if !w.faults.stateless {
		w.link = append(w.link, ev)
	} else if w.subscribed && w.up && w.random(8) > 0 {
		w.event(ev, ev.o-1)
	}
}

// read is the engine's answer to what followed (e,o).
func (w *world) read(e, o int) ([]truth, bool) {
	if e != w.e || o > w.o {
		return nil, false
	}
	var after []truth
	for _, ev := range w.kept {
		if ev.e == e && ev.o > o {
			after = append(after, ev)
		}
	}
	if o < w.o && (len(after) == 0 || after[0].o != o+1) {
		return nil, false
	}
	return after, true
}

func (w *world) nodeTakes() {
	if len(w.link) == 0 {
		return
	}
	ev := w.link[0]
	w.link = w.link[1:]
	switch {
	case ev.e == w.nodeE && ev.o <= w.nodeO:
	case ev.e != w.nodeE || ev.o != w.nodeO+1:
		w.nodeChecks()
	default:
		p := w.nodeO
		w.nodeE, w.nodeO = ev.e, ev.o
		if w.subscribed {
			w.event(ev, p)
		}
	}
}

func (w *world) nodeChecks() {
	events, ok := w.read(w.nodeE, w.nodeO)
	if !ok {
		w.nodeE, w.nodeO = w.e, w.o
		if w.subscribed {
			w.emit(down{kind: "at", at: Position{epoch(w.e), uint64(w.o)}})
		}
		return
	}
	for _, ev := range events {
		p := w.nodeO
		w.nodeO = ev.o
		if w.subscribed {
			w.event(ev, p)
		}
	}
}

func (w *world) event(ev truth, p int) {
	if !w.up {
		return
	}
	if w.faults.slow && len(w.down) >= worldQueue {
		w.behind = true
	}
	if w.behind {
		return
	}
	w.emit(down{kind: "on", ev: topicEvent{
		at: Position{epoch(ev.e), uint64(ev.o)}, before: uint64(p), empty: ev.hidden,
		data: fmt.Appendf(nil, "%d/%d", ev.e, ev.o),
	}})
}

func (w *world) emit(d down) {
	if !w.announced && !w.faults.stateless {
		w.early = append(w.early, d)
	} else if w.up {
		w.down = append(w.down, d)
	}
}

func (w *world) connect() {
	if !w.up {
		w.up = true
		w.subscribe()
	}
}

// subscribe registers, reads the position and announces, in this order (D3).
func (w *world) subscribe() {
	var e, o int
	w.tasks = append(w.tasks, func() {
		w.subscribed, w.behind, w.announced, w.early = true, false, false, nil
	}, func() {
		e, o = w.e, w.o
		if !w.floored || w.floorE != e {
			w.floored, w.floorE, w.floorO = true, e, o
		}
	}, func() {
		if !w.subscribed || !w.up {
			return
		}
		w.down = append(w.down, down{kind: "sub", at: Position{epoch(e), uint64(o)}})
		w.announced = true
		w.down = append(w.down, w.early...)
		w.early = nil
	})
}

func (w *world) serverAnswers() {
	if len(w.asks) == 0 || !w.up {
		return
	}
	asked := w.asks[0]
	w.asks = w.asks[1:]
	topic := w.topic
	say := func(p *page, err *Error) {
		w.tasks = append(w.tasks, func() { w.down = append(w.down, down{kind: "answer", page: p, err: err, of: topic}) })
	}
	switch {
	case !w.subscribed:
		say(nil, fault(CodeNotFound, "x"))
		return
	case w.faults.busy && w.random(3) == 0:
		say(nil, &Error{Code: CodeResourceExhausted, RetryAfter: time.Millisecond})
		return
	}
	w.tasks = append(w.tasks, func() {
		from := int(asked.Offset)
		events, ok := w.read(number(asked.Epoch), from)
		if !ok || from < w.floorO {
			say(&page{at: Position{epoch(w.e), uint64(w.o)}}, nil)
			return
		}
		p := &page{ok: true, at: Position{epoch(w.e), uint64(w.o)}}
		if len(events) > worldPage {
			events, p.more = events[:worldPage], true
			p.at.Offset = uint64(events[worldPage-1].o)
		}
		for _, ev := range events {
			if !ev.hidden {
				p.events = append(p.events, topicEvent{
					at: Position{epoch(ev.e), uint64(ev.o)}, before: uint64(from), data: fmt.Appendf(nil, "%d/%d", ev.e, ev.o),
				})
				from = ev.o
			}
		}
		say(p, nil)
	})
}

func (w *world) clientTakes() {
	if len(w.down) == 0 || !w.up {
		return
	}
	i := 0
	if w.faults.stateless {
		i = w.random(len(w.down))
	}
	d := w.down[i]
	w.down = slices.Delete(w.down, i, i+1)
	switch d.kind {
	case "answer":
		if d.of == w.topic {
			w.topic.answer(d.page, d.err)
		}
	case "unsub":
		w.timers = nil
		w.follow()
		w.first, w.judge.known = true, false
	case "on":
		w.topic.event(d.ev)
	case "at":
		w.topic.stands(d.at)
	case "sub":
		if w.first {
			w.first = false
			w.judge.known, w.judge.e, w.judge.o = true, number(d.at.Epoch), int(d.at.Offset)
		}
		w.topic.subscribed(d.at, "recoverable")
	}
	if w.behind && len(w.down) <= worldQueue/2 {
		w.behind = false
		if w.subscribed {
			w.emit(down{kind: "at", at: Position{epoch(w.nodeE), uint64(w.nodeO)}})
		}
	}
}

func (w *world) cut() {
	w.up, w.subscribed, w.behind, w.announced = false, false, false, false
	w.down, w.asks, w.tasks, w.timers, w.early = nil, nil, nil, nil, nil
	w.topic.drop()
	if w.topic.bytes != 0 || len(w.topic.held) != 0 {
		w.judge.fault("held over a lost connection")
	}
}

func (w *world) restart() { // without its data
	w.e++
	w.o, w.kept, w.link = 0, nil, nil
	if !w.faults.stateless {
		w.nodeChecks()
	}
}

func (w *world) unsubscribe() {
	w.subscribed, w.floored = false, false
	w.down = append(w.down, down{kind: "unsub"})
	w.judge.hiddens = append(w.judge.hiddens, [3]int{w.e, w.o, w.o + 2})
	w.publish()
	w.publish()
	for len(w.link) > 0 {
		w.nodeTakes()
	}
	w.subscribe()
}

func (w *world) step(n int, quiet bool) {
	switch {
	case n < 22 && !quiet:
		w.publish()
	case n < 40:
		w.nodeTakes()
	case n < 60:
		w.clientTakes()
	case n < 72:
		w.serverAnswers()
	case n < 86:
		pop(&w.tasks)
	case n < 90:
		pop(&w.timers)
	case n < 92 && w.faults.cut && !quiet:
		w.cut()
	case n < 96:
		w.connect()
	case quiet:
	case n == 96 && w.faults.restart:
		w.restart()
	case n == 97 && w.faults.link && len(w.link) > 0:
		w.link = w.link[1:]
	case n == 98 && w.faults.expire:
		w.kept = nil
	case n == 99 && w.faults.unsub && w.subscribed && len(w.tasks) == 0:
		w.unsubscribe()
	}
}

func pop(list *[]func()) {
	if len(*list) > 0 {
		f := (*list)[0]
		*list = (*list)[1:]
		f()
	}
}

// settle lets everything that is under way come to its end.
func (w *world) settle() {
	for range 300 {
		for _, n := range []int{95, 22, 40, 60, 72, 72, 86} { // one of each that goes on
			w.step(n, true)
		}
	}
}

// run lets n random things happen, then nothing more, and returns what the
// judge says.
func (w *world) run(n int) *judge {
	for range n {
		w.step(w.random(100), false)
	}
	w.settle()
	for range 3 {
		// The check that comes by and by: the node reads positions, or the
		// client pings.
		if !w.faults.stateless {
			w.nodeChecks()
		} else if w.subscribed {
			w.down = append(w.down, down{kind: "at", at: Position{epoch(w.e), uint64(w.o)}})
		}
		w.settle()
	}
	j := &w.judge
	if !j.known || j.e != w.e || j.missing(w.e, j.o, w.o) {
		j.fault("stalled without a word")
	}
	return j
}
