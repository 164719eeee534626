package client

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// This file finds out that a server is gone (docs/protocol.md sections 3, 5
// and 8). All of it is called with c.mu held.

const (
	pongTime = 10 * time.Second
	wakeTime = 2 * time.Second // after the machine has slept
	lookTime = 5 * time.Second // how often is looked whether it has
)

// heard is when something came from the server, and until when the next thing
// has to come; a zero due is never. The clocks of sleeping machines stand still
// or jump, so a time is looked at by both.
type heard struct {
	due   time.Time
	woken bool
}

// alive takes that a frame came.
func (r *run) alive() {
	r.heard = heard{}
	if r.server != nil && r.server.Ping > 0 {
		r.heard.due = time.Now().Add(millis(r.server.Ping) + pongTime)
	}
}

// watch looks at the time of the last frame, and again when it may be too long
// ago.
func (r *run) watch() {
	if r.heard.due.IsZero() {
		return
	}
	now := time.Now()
	over := now.Sub(r.heard.due)
	byClock := now.Round(0).Sub(r.heard.due.Round(0))
	if late := max(over, byClock); late >= 0 {
		// A timer that is late stood still: the machine slept, and what came
		// meanwhile is read first.
		if r.heard.woken || late < time.Second {
			r.c.lose(CloseNoPong, "the server is silent", false)
			return
		}
		r.heard.woken = true
		r.heard.due = now.Add(wakeTime)
		over, byClock = -wakeTime, -wakeTime
	}
	r.c.later(timerLife, min(-over, max(-byClock, 0), lookTime), r.watch)
}

// keep pings a server that cannot ping by itself, again and again.
func (r *run) keep() {
	r.c.later(timerKeep, millis(r.server.Keep), func() {
		r.keep()
		id := r.nextID()
		r.replies[id] = (*pinged)(r)
		r.send(appendRequest(id, "ping", []byte("true")))
		if due := time.Now().Add(pongTime); r.heard.due.IsZero() || due.Before(r.heard.due) {
			r.heard.due = due
		}
		r.watch()
	})
}

// pinged waits for the answer to a ping.
type pinged run

func (p *pinged) replied(f *frame) {
	delete(p.replies, f.id)
	var out struct {
		At map[string]wirePosition `json:"at"`
	}
	if f.has(memberOut) && f.decode(memberOut, &out) == nil {
		for name, at := range out.At {
			if t := p.c.topics[name]; t != nil {
				t.stands(Position(at))
			}
		}
	}
}

func (p *pinged) abandoned() {}

// wirePosition is a position as it goes over the wire.
type wirePosition struct {
	Epoch  string `json:"e"`
	Offset uint64 `json:"o"`
}

// appendRequest returns a request with one member besides its id.
func appendRequest(id uint64, kind string, value []byte) []byte {
	b := append(make([]byte, 0, 64+len(value)), `{"id":`...)
	b = appendUint(b, id)
	b = append(b, `,"`...)
	b = append(append(append(b, kind...), `":`...), value...)
	return append(b, '}')
}

// quote returns s as JSON. Text that is not UTF-8 never gets here.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}
