package ws

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// maxExcess is how much of what comes from the client is read and thrown away
// while a connection is leaving.
const maxExcess = 4 << 20

// heardNow notes a sign of life of the client.
func (c *conn) heardNow() { c.heard.Store(clock()) }

// arrived handles bytes from the client and reports whether to read on, and
// whether messages now wait that the reader has to have worked off: see
// kanava.Link.Accept. It does not keep data, and does not block.
func (c *conn) arrived(data []byte) (more, work bool) {
	if c.phase.Load() != open {
		if c.excess(len(data)) > maxExcess {
			c.end(kanava.Closing{}, true)
			return false, false
		}
	}
	for !c.deaf {
		p := c.parsing()
		m, rest, err := p.Next(data)
		if n := p.Crumbs(); n > 0 && c.phase.Load() == open {
			c.link.Charge(n)
		}
		if err != nil {
			c.deaf = true
			c.leaveWith(fault(err), endOfStream)
			break
		}
		switch m.Op {
		case 0:
			c.parsed()
			return true, work
		case ws.OpText, ws.OpBinary:
			if c.phase.Load() != open {
				break
			}
			room, mine := c.link.Accept(m.Data, m.Op == ws.OpBinary)
			work = work || mine
			if !room {
				if rest, room = c.park(rest); !room {
					return false, work
				}
			}
		case ws.OpPing:
			c.answer(m.Data)
		case ws.OpClose:
			code, reason := wsframe.ParseClose(m.Data)
			c.leave(kanava.Closing{Code: kanava.CloseCode(code), Reason: reason},
				wsframe.AppendCloseBody(nil, code, ""), nothingMore)
			c.goodbyeReceived() // if it answers ours
			return false, work
		}
		data = rest
	}
	return true, work
}

// excess counts bytes that come while the connection is leaving, and returns how
// many they are.
func (c *conn) excess(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending.excess += n
	return c.ending.excess
}

// reading is what a reader has while something is incomplete.
type reading struct {
	wsframe.Parser
	rest []byte // while parked: what is not parsed yet; belongs to who resets parked
}

// readings lends them to connections from which something comes.
var readings = sync.Pool{New: func() any { return new(reading) }}

// parsing returns what the reader has, which it borrows if that is nothing.
func (c *conn) parsing() *reading {
	if c.reading == nil {
		c.reading = readings.Get().(*reading)
		c.reading.Parser = wsframe.NewParser(wsframe.Server, c.link.Limits().Message)
		if c.packed > 0 {
			c.reading.Inflate()
		}
	}
	return c.reading
}

// parsed gives it back, unless something is incomplete.
func (c *conn) parsed() {
	if c.reading.Idle() {
		readings.Put(c.reading)
		c.reading = nil
	}
}

// fault returns the end of a connection whose client broke a rule.
func fault(err error) kanava.Closing {
	var e *wsframe.Error
	if !errors.As(err, &e) {
		return kanava.Closing{Code: kanava.CloseProtocolError}
	}
	code := kanava.CloseCode(e.Code)
	return kanava.Closing{Code: code, Reason: code.String() + ": " + e.Text} // docs/protocol.md section 6
}

// lost handles the end of what the client sends.
func (c *conn) lost(err error) {
	if errors.Is(err, io.EOF) && c.phase.Load() == leaving {
		c.goodbyeReceived() // a close frame of ours may still be on its way
		return
	}
	c.end(kanava.Closing{Code: kanava.CloseAbnormal}, false)
}

// park stops the reader, which goes on with rest when the link has room. If
// there is room by now, the caller goes on reading, with the bytes returned.
func (c *conn) park(rest []byte) (again []byte, room bool) {
	c.reading.Release()
	if len(rest) == 0 {
		c.parsed()
	}
	c.leaveUnread(rest)
	return c.takeOver()
}

// leaveUnread makes a connection parked that has this to be read.
func (c *conn) leaveUnread(rest []byte) {
	if len(rest) > 0 {
		c.parsing().rest = bytes.Clone(rest)
	}
	c.flags.set(parked)
}

// takeOver makes the caller the reader of a parked connection if that may read
// and nobody else has become it. What the caller knew of rest before is void:
// another reader may have been there in between.
func (c *conn) takeOver() (rest []byte, ok bool) {
	if !c.mayRead() {
		return nil, false
	}
	c.heardNow() // while nobody listened, silence did not count
	if !c.flags.take(parked) {
		return nil, false
	}
	if r := c.reading; r != nil {
		rest, r.rest = r.rest, nil
	}
	return rest, true
}

// mayRead reports whether a parked connection may read: the link has room, or
// is not given anything any more.
func (c *conn) mayRead() bool { return c.phase.Load() != open || !c.link.Full() }

// unpark starts the reader again if that was parked and may read. It does not
// call the link itself.
func (c *conn) unpark() {
	if c.flags.has(parked) {
		c.wire().startReader()
	}
}
