package kanava

import (
	"slices"
	"sync"

	"github.com/kanava-go/kanava/internal/form"
)

// pageKey says what an answer to recover has: the events of a topic after one
// offset and up to another, at a time when it stood at top.
type pageKey struct {
	topic         *topicState
	from, to, top uint64
	limit         int // bytes
	view          any // that of all who share it; nil where all see the same
}

// page is an answer to recover, which all can share who ask the same.
type page struct {
	key    pageKey
	once   sync.Once
	body   []byte   // set in once, as is except
	except []string // who is not to see some of it
}

// write encodes the events, at most about limit bytes of them and one at least:
// as everybody may see them, or as c may.
func (p *page) write(events []*event, at form.Position, c *conn) {
	to := p.key.from
	buf := form.BeginPage(nil, at.Epoch)
	first := true
	for _, ev := range events {
		before := to
		to = ev.at.Offset
		if ev.except != "" {
			if c == nil {
				p.except = append(p.except, ev.except)
			} else if c.is(ev.except) {
				continue
			}
		}
		ok := true
		switch {
		case c != nil:
			ev, ok = c.see(ev)
		case ev.view != nil:
			ev = ev.view.seeAs(ev, p.key.view)
			ok = ev != nil
		}
		if !ok {
			continue
		}
		end := len(buf)
		if buf = form.AppendPageEvent(buf, first, form.Event{At: ev.at, Data: ev.data, Binary: ev.binary}); len(buf) > p.key.limit && !first {
			buf, to = buf[:end], before
			break
		}
		first = false
	}
	p.body = slices.Clip(form.EndPage(buf, to, to < at.Offset))
}

// hides reports whether the page has something that c is not to see.
func (p *page) hides(c *conn) bool {
	return slices.ContainsFunc(p.except, c.is)
}

// pages are those that were made last.
type pages struct {
	mu   sync.Mutex
	last []*page // guarded by mu
}

// pagesMost bounds what is kept of them: about 2 MiB.
const pagesMost = 32

// get returns the page with this key, which is still to be written if nobody
// has asked for it before.
func (s *pages) get(key pageKey) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.last, func(p *page) bool { return p.key == key }); i >= 0 {
		return s.last[i]
	}
	if len(s.last) >= pagesMost {
		s.last = slices.Delete(s.last, 0, 1)
	}
	p := &page{key: key}
	s.last = append(s.last, p)
	return p
}

// forget lets go of all.
func (s *pages) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}
