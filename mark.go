package kanava

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// This file recovers events for clients of the plain form that keep one text of
// the server's between two connections, as browsers do with the ids of
// server-sent events (docs/protocol.md P19). The text is a mark: where the client
// stands in all its Recoverable topics. What it missed follows when it is
// subscribed again, before what is published from then on.

// Mark is what a client of the plain form is told beside a frame, where its
// transport has asked for that: see OpenRequest.Marks. A frame without Data that
// is not Binary is nothing but its Mark.
type Mark struct {
	ID   string // where the client stands after the frame; "" takes back what it was told before
	Lost bool   // Data is {"topic","from","to"}: the events of a topic between two positions cannot be had any more
}

const (
	markMost = 1024 // bytes of a mark; a client that stands in more topics gets none
	markWas  = 2    // connections of the client before this one that its mark names
)

// marks is where a client stands. It belongs to the goroutine that takes
// frames, but for last.
type marks struct {
	id     string                   // of the connection; set when the server knows it
	was    []string                 // the connections before that the next mark names
	former []string                 // all those that the client's mark named
	at     map[string]form.Position // by topic
	live   map[string]bool          // topics of at that the connection is subscribed to: of the others the client stands where it stood
	told   bool                     // the client has a mark

	last map[string]form.Position // guarded by conn.subMu: where the client stood, of topics that it was not subscribed to since
}

// move is what an item of the outbox says of where the client stands, besides
// the positions of events.
type move struct {
	topic string
	to    form.Position
	gone  bool // the subscription has ended
	lost  bool
}

func newMarks(last string) *marks {
	was, at := parseMark(last)
	return &marks{
		was: was[:min(len(was), markWas)], former: was, told: last != "",
		at: maps.Clone(at), live: make(map[string]bool), last: at,
	}
}

// stood returns where the client says it stood in a topic that it is not
// subscribed to, the zero Position if it does not say.
func (c *conn) stood(topic string) form.Position {
	if c.rare().marks == nil {
		return form.Position{}
	}
	c.subMu.Lock()
	defer c.subMu.Unlock()
	return c.rare().marks.last[topic]
}

// resumeTopic tells a client that is subscribed to a topic now where it stands
// and, if it has said where it stood, what it has missed since. What cannot be
// had any more, or does not fit into half of the queue, is lost. c.subMu and the
// topic's mu are held.
func (c *conn) resumeTopic(sub *subscription, at form.Position) {
	m := c.rare().marks
	if m == nil || sub.class != recoverable || !sub.free && c.liveSession() == nil {
		return
	}
	from, known := m.last[sub.topic]
	delete(m.last, sub.topic)
	here := outItem{sub: sub, move: &move{topic: sub.topic, to: at}}
	if !known || from == at {
		c.queueMark(here)
		return
	}
	missed, ok := c.missed(sub, from, at)
	if !ok {
		here.move.lost = true
		here.frame.Data = form.AppendLost(nil, sub.topic, from, at)
		c.queueMark(here)
		return
	}
	here.move.to = from
	c.queueMark(here) // which also says that the topic is live
	for _, ev := range missed {
		c.queueMark(outItem{sub: sub, ev: ev, raw: !c.is(ev.except)}) // encoded when it is taken, without locks
	}
}

// missed returns all that followed a position up to another, if it is kept and
// fits.
func (c *conn) missed(sub *subscription, from, to form.Position) ([]*event, bool) {
	most := c.queueLimit() / 2
	events, ok := sub.missed(from, most)
	if n := len(events); !ok || n == 0 || events[n-1].at != to {
		return nil, false
	}
	size := 2 * itemCost
	for _, ev := range events {
		size += itemCost + ev.size()
	}
	c.rate.charge(c.def.limits.Rate, size/recoverBytes, time.Now())
	return events, size <= most && c.out.hasRoom(most-size)
}

func (c *conn) queueMark(it outItem) {
	if full, _ := c.out.add(it, c.queueLimit()); full {
		c.slow()
	}
}

// mark has f tell where the client stands after it, if the item has changed that.
// ok tells whether there is anything to send otherwise; mark reports the same.
func (m *marks) mark(f *Frame, it *outItem, ok bool) bool {
	lost := false
	switch {
	case it.move != nil && it.move.gone:
		delete(m.at, it.move.topic)
		delete(m.live, it.move.topic)
	case it.move != nil:
		m.at[it.move.topic], m.live[it.move.topic] = it.move.to, true
		lost = it.move.lost
	case it.ev != nil && it.sub != nil && it.sub.class == recoverable:
		m.at[it.sub.topic] = it.ev.at
	default:
		return ok
	}
	id := m.text()
	if id == "" && !m.told && !lost {
		return ok && (f.Data != nil || f.Binary)
	}
	m.told = id != ""
	f.Mark = &Mark{ID: id, Lost: lost}
	return true
}

// text returns the mark, "" if there is none or it would be too long. Topics to
// which the client is not subscribed are left out first.
func (m *marks) text() string {
	all := m.write(func(string) bool { return true })
	if len(all) > markMost {
		all = m.write(func(topic string) bool { return m.live[topic] })
	}
	if len(all) > markMost {
		return ""
	}
	return all
}

func (m *marks) write(has func(topic string) bool) string {
	var b strings.Builder
	for _, topic := range slices.Sorted(maps.Keys(m.at)) {
		if !has(topic) {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(strings.Join(append([]string{m.id}, m.was...), "."))
		}
		at := m.at[topic]
		b.WriteString("&" + url.QueryEscape(topic) + "=" + url.QueryEscape(at.Epoch) + "." + strconv.FormatUint(at.Offset, 10))
	}
	return b.String()
}

// isConnID reports whether a claim of a client could be the id of a connection:
// it goes into other marks as it is.
func isConnID(id string) bool {
	for _, r := range id {
		if (r < 'A' || r > 'Z') && (r < '2' || r > '7') { // the letters of rand.Text
			return false
		}
	}
	return id != "" && len(id) <= 32
}

// parseMark reads a mark, which is a claim of the client. What is no mark says
// nothing.
func parseMark(s string) (was []string, at map[string]form.Position) {
	none := map[string]form.Position{}
	if s == "" || len(s) > markMost {
		return nil, none
	}
	at = make(map[string]form.Position)
	ids, topics, _ := strings.Cut(s, "&")
	for id := range strings.SplitSeq(ids, ".") {
		if !isConnID(id) || len(was) > markWas {
			return nil, none
		}
		was = append(was, id)
	}
	for item := range strings.SplitSeq(topics, "&") {
		name, position, _ := strings.Cut(item, "=")
		dot := max(strings.LastIndexByte(position, '.'), 0)
		topic, err := url.QueryUnescape(name)
		if err != nil || checkTopic(topic) != nil {
			return nil, none
		}
		epoch, err := url.QueryUnescape(position[:dot])
		o, ok := frameOffset([]byte(strings.TrimPrefix(position[dot:], ".")))
		if _, twice := at[topic]; err != nil || epoch == "" || len(epoch) > 16 || !ok || twice {
			return nil, none
		}
		at[topic] = form.Position{Epoch: epoch, Offset: o}
	}
	return was, at
}
