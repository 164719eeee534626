package kanava

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file is a subscription of kanava.v1 as one who watches a presence. What
// is to be told is found out when the transport takes it: however much changes
// while a client does not read, one turn stands in its outbox, and the client
// is told the difference that it comes to in the end.

// presenceTurn stands in an outbox for the turn of a presenceWatch.
var presenceTurn = &event{}

// presenceAsks is how many requests of one subscription may be unanswered.
const presenceAsks = 4

// presenceWatch is a subscription that is told who is present in its topic.
type presenceWatch struct {
	c     *conn
	sub   *subscription
	index int // in g.watches; guarded by g.mu

	mu     sync.Mutex
	g      *gathering    // guarded by mu; fixed but for visits
	queued bool          // guarded by mu: a turn stands in the outbox
	anew   bool          // guarded by mu: middleware may see members otherwise now
	asks   []presenceAsk // guarded by mu: what the client has asked for

	// What the client was told; of who takes.
	v       uint64
	version uint64
}

// presenceAsk is a client's request of members.
type presenceAsk struct {
	id    uint64
	after string
}

// watchPresence begins to tell the client who is present in the topic, if there
// is a presence for it; c.subMu is held.
func (c *conn) watchPresence(sub *subscription) {
	if !c.form.Envelope() {
		return
	}
	p := sub.hub.presences.of(sub.topic)
	if p == nil {
		return
	}
	if v := c.visit(); v != nil {
		v.watchPresence(sub, p)
		return
	}
	g := p.enter(sub.topic, true)
	defer g.leave()
	if len(g.watches) == 0 {
		g.look() // nobody has wanted a view until now
	}
	w := &presenceWatch{g: g, c: c, sub: sub, index: len(g.watches)}
	g.watches = append(g.watches, w)
	sub.watch = w
	g.follow()
	if g.far == nil || g.far.ready {
		w.turn()
	}
}

// stop ends the watching of a subscription that has ended.
func (w *presenceWatch) stop() {
	g := w.gathering()
	g.mu.Lock()
	defer g.leave()
	last := len(g.watches) - 1
	g.watches[w.index] = g.watches[last]
	g.watches[w.index].index = w.index
	g.watches[last] = nil
	g.watches = g.watches[:last]
}

// turn sees to it that the client is told what there is to tell. It takes
// hardly any room, and always finds it: a connection is not closed for it.
func (w *presenceWatch) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enqueue()
}

// enqueue is turn with w.mu held.
func (w *presenceWatch) enqueue() {
	if !w.queued {
		w.queued = true
		w.c.out.add(outItem{ev: presenceTurn, sub: w.sub}, math.MaxInt)
	}
}

// showPresences tells the client what it may see under a new session.
func (c *conn) showPresences() {
	for _, sub := range c.listSubscriptions() {
		if c.visit() != nil {
			if !sub.free || c.def.send != nil {
				c.watchPresence(sub)
			}
			continue
		}
		if w := sub.watch; w != nil {
			w.mu.Lock()
			w.anew = c.def.send != nil
			w.enqueue()
			w.mu.Unlock()
		}
	}
}

// weight is about how many bytes the turn comes to.
func (w *presenceWatch) weight() int { return w.gathering().view.Load().weight }

func (w *presenceWatch) gathering() *gathering {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.g
}

// tell appends what a turn has to tell. It takes no locks but its own and the
// gathering's, and is called by one goroutine at a time.
func (w *presenceWatch) tell(batch []Frame) []Frame {
	w.mu.Lock()
	g, asks, anew := w.g, w.asks, w.anew
	w.queued, w.anew, w.asks = false, false, nil
	if len(asks) > 1 { // one at a time: each can be large
		asks, w.asks = asks[:1], asks[1:]
		w.enqueue()
	}
	w.mu.Unlock()
	var refusal *Error
	switch {
	case w.sub.ended.isSet():
		refusal = errNoPresence
	case !w.sub.free && w.c.liveSession() == nil:
		refusal = Errorf(CodeUnauthenticated, "sign in first")
	}
	if refusal != nil {
		for _, ask := range asks {
			w.c.chargeError()
			batch = append(batch, w.c.errorFrame(form.Route{ID: ask.id}, refusal))
		}
		return batch
	}
	view := g.view.Load()
	if body := w.news(view, anew); body != nil {
		w.v++
		batch = append(batch, Frame{Data: form.AppendPresence(nil, w.sub.topic, w.v, body)})
	}
	w.version = view.version
	for _, ask := range asks {
		batch = append(batch, w.answer(g, view, ask))
	}
	return batch
}

var errNoPresence = Errorf(CodeNotFound, "no subscription of this connection has a presence")

// news returns the body of what the client does not know yet, nil if it knows
// all.
func (w *presenceWatch) news(view *presenceView, anew bool) []byte {
	filtered := w.c.def.send != nil
	switch {
	case w.v > 0 && !anew && view.version == w.version:
		return nil
	case w.v > 0 && !anew && view.knows(w.version):
		if !filtered {
			return view.change(w.version)
		}
		join, leave := view.difference(w.version)
		shown := make([][]byte, 0, len(join))
		for _, m := range join {
			if b := w.filter(m.memberNow); b != nil {
				shown = append(shown, b)
			} else {
				leave = append(leave, m.id)
			}
		}
		if len(shown)+len(leave) == 0 {
			return nil
		}
		return form.AppendChange(nil, shown, leave, view.count)
	case !filtered || !view.listed:
		return view.whole()
	}
	return form.AppendAll(nil, w.encode(view.now("")), view.count)
}

// answer returns the page that the client has asked for.
func (w *presenceWatch) answer(g *gathering, view *presenceView, ask presenceAsk) Frame {
	page, next := view.now(ask.after), ""
	if !view.listed {
		var more bool
		who := roster{of: g.of, topic: w.sub.topic}
		if g.apart {
			who.apart = g
		}
		if page, more = who.page(ask.after); more {
			next = page[len(page)-1].id
		}
	}
	body := form.AppendAll(nil, w.encode(page), view.count)
	frame := form.AppendPresencePage(nil, ask.id, w.v, body, next)
	w.c.rate.charge(w.c.def.limits.Rate, len(frame)>>16, time.Now())
	return Frame{Data: frame}
}

// now returns the members of a view that has them, behind one.
func (v *presenceView) now(after string) []memberNow {
	var page []memberNow
	for _, m := range v.members {
		if m.id > after || after == "" {
			page = append(page, m.memberNow)
		}
	}
	return page
}

// encode returns the members as this client sees them.
func (w *presenceWatch) encode(page []memberNow) [][]byte {
	list := make([][]byte, 0, len(page))
	for _, m := range page {
		if w.c.def.send == nil {
			list = append(list, form.AppendMember(nil, m.id, m.n, m.data))
		} else if b := w.filter(m); b != nil {
			list = append(list, b)
		}
	}
	return list
}

// filter runs the outgoing middleware on a member; nil is one whom the client
// is not to see.
func (w *presenceWatch) filter(m memberNow) (member []byte) {
	of := w.gathering().of
	value, err := of.decode(w.c.context(), m.data)
	if err != nil {
		w.c.core.logger.Error("the data of a member cannot be read", "topic", w.sub.topic, "error", err)
		return nil
	}
	w.c.filterInto(Payload{Kind: KindPresence, Topic: w.sub.topic, Value: value}, func(value any) error {
		data, err := encoded(func(buf []byte) ([]byte, error) {
			return appendValue(buf, of.out.Type(), of.out, value)
		})
		if err == nil {
			member = form.AppendMember(nil, m.id, m.n, data)
		}
		return err
	})
	return member
}

// askPresence takes a client's request of members. It is answered at the
// client's next turn, behind what it was told before.
func (c *conn) askPresence(m *message) *Error {
	topic, ok := jsonscan.String(m.raw(memberPresence))
	after, okAfter := "", true
	if m.room.found[memberAfter].Found() {
		after, okAfter = jsonscan.String(m.raw(memberAfter))
	}
	switch {
	case m.id == 0:
		return Errorf(CodeInvalidFrame, "a request has an id")
	case !ok:
		return Errorf(CodeInvalidFrame, "the member %q is a topic", "presence")
	case !okAfter:
		return Errorf(CodeInvalidFrame, "the member %q is the id of a member", "after")
	}
	if err := c.queuePresenceAsk(topic, presenceAsk{m.id, after}); err != nil {
		c.chargeError()
		c.sendError(form.Route{ID: m.id}, err)
	}
	return nil
}

func (c *conn) queuePresenceAsk(topic string, ask presenceAsk) *Error {
	subs := c.listSubscriptions()
	i := slices.IndexFunc(subs, func(sub *subscription) bool { return sub.topic == topic && sub.hub.presences.of(topic) != nil })
	if i >= 0 && c.visit() != nil && subs[i].watch == nil {
		c.watchPresence(subs[i])
	}
	if i < 0 || subs[i].watch == nil {
		return errNoPresence
	}
	w := subs[i].watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asks) >= presenceAsks {
		e := Errorf(CodeResourceExhausted, "too many requests of members wait: the limit is %d", presenceAsks)
		e.RetryAfter = time.Second
		return e
	}
	w.asks = append(w.asks, ask)
	w.enqueue()
	return nil
}
