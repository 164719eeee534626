package client

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file follows who is there (docs/protocol.md D12). All of it is called
// with c.mu held.

// The numbers of rule D12. What a server shows beyond them is not kept: then
// only the number is known.
const (
	maxMembers     = 200
	maxMemberBytes = 256 << 10
	memberCost     = 32 // of a member beside its id and data
	maxPresences   = 128
	maxChanges     = 64 // differences that are held
	maxChangeBytes = 256 << 10
)

// member is one who is there; it does not change.
type member struct {
	id   string
	n    int
	data []byte
}

// wirePresence is a frame, or a page of an answer, as it goes over the wire.
type wirePresence struct {
	V     uint64        `json:"v"`
	All   *[]wireMember `json:"all"`
	Join  *[]wireMember `json:"join"`
	Leave *[]string     `json:"leave"`
	Count int           `json:"count"`
	Next  string        `json:"next"`

	size int // bytes of its text
}

type wireMember struct {
	ID   string         `json:"id"`
	N    int            `json:"n"`
	Data jsontext.Value `json:"data"`
}

func (w *wirePresence) isDifference() bool { return w.All == nil && (w.Join != nil || w.Leave != nil) }

// present is who is there in one topic.
type present struct {
	c    *Conn
	name string

	known   bool      // count is set
	count   int       //
	listed  bool      // members is everybody; else only the number is known
	members []*member // in order of id; the slice does not change
	over    bool      // too many to keep: differences only count

	fresh bool           // v is of this connection
	v     uint64         //
	held  []wirePresence // differences that do not follow yet, in order of v
	busy  bool           // an answer is under way, or asked for again later
	asked *membersAsk    // the request that counts
	vain  int            // refusals in a row

	queued    bool // to be told
	gone      bool // and then forgotten
	told      []*member
	toldKnown bool // told is set
}

func (c *Conn) takePresence(f *frame) error {
	name, err := f.text(memberPresence)
	if err != nil {
		return err
	}
	w := wirePresence{size: len(f.data)}
	if err := json.Unmarshal(f.data, &w); err != nil {
		return err
	}
	if _, err := f.integer(memberV); err != nil {
		return err
	}
	p := c.presences[name]
	if p == nil {
		if len(c.presences) >= maxPresences && !c.forgetPresence() {
			return fault(CodeResourceExhausted, "the server shows more presences than a client follows")
		}
		p = &present{c: c, name: strings.Clone(name)}
		c.presences[p.name] = p
	}
	p.gone = false
	p.take(&w)
	return nil
}

// forgetPresence makes room for one.
func (c *Conn) forgetPresence() bool {
	for name, p := range c.presences {
		if !p.fresh && !p.queued {
			delete(c.presences, name)
			return true
		}
	}
	return false
}

// take takes a frame.
func (p *present) take(w *wirePresence) {
	switch {
	case p.fresh && w.V <= p.v: // it was overtaken
	case w.isDifference():
		p.hold(w)
		if p.drain() {
			p.tell()
		}
	default:
		p.forgetAsk()
		p.replace(w)
	}
	if len(p.held) > 0 && !p.busy {
		p.ask("")
	}
}

// replace takes everybody, or the number.
func (p *present) replace(w *wirePresence) {
	p.known, p.fresh, p.v, p.count = true, true, w.V, w.Count
	p.listed, p.over, p.members = w.All != nil, false, nil
	if p.listed {
		p.join(*w.All)
	}
	p.held = slices.DeleteFunc(p.held, func(x wirePresence) bool { return x.V <= p.v })
	p.drain()
	p.tell()
}

// hold keeps a difference until what comes before it is known.
func (p *present) hold(w *wirePresence) {
	i, found := slices.BinarySearchFunc(p.held, w.V, func(x wirePresence, v uint64) int { return cmp.Compare(x.V, v) })
	if found {
		return
	}
	p.held = slices.Insert(p.held, i, *w)
	size := 0
	for i := range p.held {
		size += p.held[i].size
	}
	for len(p.held) > maxChanges || size > maxChangeBytes {
		size -= p.held[0].size
		p.held = slices.Delete(p.held, 0, 1)
	}
}

// drain applies the differences that follow, and reports whether there were any.
func (p *present) drain() (some bool) {
	for len(p.held) > 0 && p.fresh && (p.listed || p.over) && p.held[0].V == p.v+1 {
		w := &p.held[0]
		p.v, p.count = w.V, w.Count
		if p.listed {
			p.leave(w.Leave)
			if w.Join != nil {
				p.join(*w.Join)
			}
		}
		p.held = slices.Delete(p.held, 0, 1)
		some = true
	}
	return some
}

func byID(m *member, id string) int { return strings.Compare(m.id, id) }

// join adds or replaces members, unless they are too many.
func (p *present) join(list []wireMember) {
	members := slices.Clone(p.members)
	for _, w := range list {
		m := &member{w.ID, w.N, w.Data}
		i, found := slices.BinarySearchFunc(members, m.id, byID)
		switch {
		case found:
			members[i] = m
		case len(members) < maxMembers:
			members = slices.Insert(members, i, m)
		default:
			p.tooMany()
			return
		}
	}
	size := 0
	for _, m := range members {
		size += memberCost + len(m.id) + len(m.data)
	}
	if size > maxMemberBytes {
		p.tooMany()
		return
	}
	p.members = members
}

func (p *present) leave(ids *[]string) {
	if ids == nil || len(*ids) == 0 {
		return
	}
	members := slices.Clone(p.members)
	for _, id := range *ids {
		if i, found := slices.BinarySearchFunc(members, id, byID); found {
			members = slices.Delete(members, i, i+1)
		}
	}
	p.members = members
}

func (p *present) tooMany() { p.listed, p.over, p.members = false, true, nil }

// membersAsk is a request for everybody: what has come of the answer.
type membersAsk struct {
	p     *present
	r     *run
	after string
	got   wirePresence // of the pages so far
}

// ask asks for everybody.
func (p *present) ask(after string) {
	r := p.c.run
	if p.asked == nil {
		p.asked = &membersAsk{p: p, r: r}
	}
	p.busy, p.asked.after = true, after
	id := r.nextID()
	r.replies[id] = p.asked
	r.send(append(appendUint([]byte(`{"id":`), id), membersRequest(p.name, after)...))
	p.c.events.stir()
}

// membersRequest returns a request for a page, from behind its id on.
func membersRequest(topic, after string) []byte {
	b := append(append(make([]byte, 0, 64), `,"presence":`...), quote(topic)...)
	if after != "" {
		b = append(append(b, `,"after":`...), quote(after)...)
	}
	return append(b, '}')
}

func (a *membersAsk) abandoned() {}

// replied takes a page.
func (a *membersAsk) replied(f *frame) {
	delete(a.r.replies, f.id)
	p := a.p
	if p.asked != a {
		return // nobody needs it any more
	}
	w, err := f.members()
	if err != nil {
		p.asked = nil
		p.refused(err)
		return
	}
	size := a.got.size + len(f.raw(memberOut))
	if a.after == "" {
		a.got = *w
	} else {
		*a.got.All = append(*a.got.All, *w.All...)
		a.got.Count = w.Count
	}
	a.got.size = size
	many := a.got.Count > maxMembers || len(*a.got.All) > maxMembers || size > 2*maxMemberBytes
	if w.Next > a.after && !many {
		p.ask(w.Next)
		return
	}
	if many {
		a.got.All = nil
	}
	p.asked, p.busy = nil, false
	if p.fresh && a.got.V <= p.v {
		if len(p.held) > 0 {
			p.refused(fault(CodeInternal, "the answer is old"))
		}
		return
	}
	p.vain = 0
	p.replace(&a.got)
	if len(p.held) > 0 {
		p.ask("")
	}
}

// members returns a page of members, or the error in its place.
func (f *frame) members() (*wirePresence, *Error) {
	var w wirePresence
	if !f.has(memberOut) || f.decode(memberOut, &w) != nil || w.All == nil {
		e := wireError{Code: CodeInvalidFrame}
		if f.has(memberErr) {
			_ = f.decode(memberErr, &e)
		}
		return nil, e.told()
	}
	return &w, nil
}

// refused asks again later, unless that was in vain too often.
func (p *present) refused(err *Error) {
	if err.Code != CodeResourceExhausted {
		p.vain++
	}
	p.busy = p.vain < maxVain
	if !p.busy {
		p.vain = 0
		return
	}
	p.c.later(p, cmp.Or(err.RetryAfter, time.Second), func() { p.ask("") })
}

func (p *present) forgetAsk() {
	p.asked, p.busy, p.vain = nil, false, 0
	p.c.cancelTimer(p)
}

// drop takes that the connection is lost: what is known stays.
func (p *present) drop() {
	p.forgetAsk()
	p.fresh, p.held = false, nil
}

// unpresent takes that the subscription has ended.
func (c *Conn) unpresent(name string) {
	p := c.presences[name]
	if p == nil {
		return
	}
	p.drop()
	if !p.known {
		delete(c.presences, name)
		return
	}
	p.known, p.gone = false, true
	p.count, p.listed, p.over, p.members = 0, true, false, nil
	p.tell()
}

// presenceNow is what is told. Its slices do not change.
type presenceNow struct {
	topic   Topic
	count   int
	listed  bool
	members []*member
	joined  []*member
	left    []*member
}

// tell tells those who listen what has changed since they were told. It merges
// with what they were not told yet.
func (p *present) tell() {
	at := p.listensAt()
	if len(p.c.events.listeners[at]) == 0 {
		p.settle()
		return
	}
	if !p.queued {
		p.queued = true
		p.c.happen(at, &happening{topic: p.topic(), begin: func(h *happening) {
			now := p.now()
			now.joined, now.left = p.settle()
			p.queued = false
			h.value = now
		}})
	}
}

// tellOne tells one who has begun to listen.
func (p *present) tellOne(l *Listener) {
	if p.known && !p.queued {
		p.c.happen(l.at, &happening{topic: p.topic(), only: l, begin: func(h *happening) { h.value = p.now() }})
	}
}

func (p *present) topic() Topic {
	_, key, _ := strings.Cut(p.name, ":")
	return Topic{p.name, key}
}

func (p *present) listensAt() listenKey {
	family, _, _ := strings.Cut(p.name, ":")
	return listenKey{listenPresence, family}
}

func (p *present) now() *presenceNow {
	return &presenceNow{topic: p.topic(), count: p.count, listed: p.listed, members: p.members}
}

// settle takes what is known for told, and returns what is new of it.
func (p *present) settle() (joined, left []*member) {
	if p.toldKnown && p.listed {
		joined, left = missing(p.members, p.told), missing(p.told, p.members)
	}
	p.told, p.toldKnown = p.members, p.listed
	if p.gone {
		delete(p.c.presences, p.name)
	}
	return joined, left
}

// missing returns who is in list and not in other.
func missing(list, other []*member) (found []*member) {
	for _, m := range list {
		if _, is := slices.BinarySearchFunc(other, m.id, byID); !is {
			found = append(found, m)
		}
	}
	return found
}
