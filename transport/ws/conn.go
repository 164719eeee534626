package ws

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// closeTime is how long a connection that is being closed may live on, for the
// close frame to go out and the client's to come in.
const closeTime = 5 * time.Second

// link is what a connection uses of its *kanava.Link.
type link interface {
	Limits() kanava.Limits
	Start()
	Charge(n int)
	Receive(data []byte, binary bool) (more bool)
	Full() bool
	Take(batch []kanava.Frame, maxBytes int) ([]kanava.Frame, *kanava.Closing)
	Closing() *kanava.Closing
	KeepAlive() []byte
	Disconnect(code kanava.CloseCode, reason string)
}

// A connection is opening until the response to its handshake is written, then
// open. It is leaving once it is known how it ends: a close frame is still to
// be written, or the client's to be read (RFC 6455 section 7.1.2). It has ended
// when the socket is closed.
const (
	opening = iota
	open
	leaving
	ended
)

// conn is one connection: the socket on one side, the link on the other. It
// has no goroutine of its own but the reader (read.go), and a writer (write.go)
// while there is something to write.
type conn struct {
	h      *handler
	nc     net.Conn       // set before the connection is open, as are link and born
	link   link           //
	born   time.Time      // what heard counts from
	alive  []byte         // the message that is sent in place of a ping; nil for a ping
	parser wsframe.Parser // belongs to the reader
	rest   []byte         // while parked: what the reader has not parsed yet; belongs to who resets parked
	excess int            // belongs to the reader: bytes since the connection is leaving
	deaf   bool           // belongs to the reader: the client broke a rule, its bytes mean nothing
	expiry time.Time      // belongs to the writer: the write deadline of the socket
	packed int            // set before the connection is open: messages of up to so many bytes go out compressed; 0: neither side compresses

	phase   atomic.Uint32 // changes with mu held
	writing atomic.Uint32 // idle, running or again
	parked  atomic.Bool   // nobody reads, because the link is full
	heard   atomic.Int64  // when the last byte came from the client, in ns since born
	wrote   atomic.Int64  // the same of the last byte to the client; kept only if alive is set

	mu       sync.Mutex     // guards what follows
	timer    *time.Timer    // runs tick
	cause    kanava.Closing // what the link is told at the end; set when leaving or ended
	deadline time.Time      // when a leaving connection is cut
	goodbye  []byte         // body of the close frame
	due      controls       // control frames to be written
	pong     []byte         // body of the pong
	pinged   int64          // value of heard when the last ping was written
	pingedAt time.Time      // when that was
	sent     bool           // the close frame was written
	answered bool           // no close frame is expected from the client (any more)
	broken   bool           // the client broke a rule
}

// controls is a set of control frames.
type controls uint8

const (
	duePing controls = 1 << iota
	duePong
	dueClose
)

func newConn(h *handler) *conn {
	c := &conn{h: h}
	c.writing.Store(running) // until begin: what is waken earlier is written then
	return c
}

// begin starts an opened connection. rest is what the client has sent already.
func (c *conn) begin(nc net.Conn, l link, rest []byte) {
	c.nc, c.link = nc, l
	c.parser = wsframe.NewParser(wsframe.Server, l.Limits().Message)
	if c.packed > 0 {
		c.parser.Inflate()
	}
	c.born, c.alive = time.Now(), l.KeepAlive()
	c.mu.Lock()
	c.pinged = -1
	c.phase.Store(open)
	c.timer = time.AfterFunc(c.h.o.Ping, c.tick)
	c.mu.Unlock()
	l.Start()
	go c.read(rest)
	if !c.writing.CompareAndSwap(running, idle) {
		go c.write()
	}
}

// Wake implements [kanava.Peer].
func (c *conn) Wake() {
	c.unpark()
	c.kick()
}

// farewell says what is expected of the client after the close frame.
type farewell uint8

const (
	awaitAnswer farewell = iota // its close frame
	nothingMore                 // nothing: it has sent one, or is silent
	endOfStream                 // the end of what it sends, which means nothing now
)

// leave begins the end of an open connection: a close frame with the body goes
// out after the frames that are being written, and no others. The connection
// ends with cause when the client has answered, or after closeTime. If the
// connection is not open, leave does nothing: the first cause counts.
func (c *conn) leave(cause kanava.Closing, body []byte, f farewell) {
	c.mu.Lock()
	if c.phase.Load() != open {
		c.mu.Unlock()
		return
	}
	c.phase.Store(leaving)
	c.cause, c.goodbye, c.due, c.pong = cause, body, dueClose, nil
	c.answered, c.broken = f == nothingMore, f == endOfStream
	c.deadline = time.Now().Add(closeTime)
	c.timer.Reset(closeTime)
	c.mu.Unlock()
	c.unpark() // to read the client's close frame
	c.kick()
}

// leaveWith is leave with a close frame that tells the cause.
func (c *conn) leaveWith(cause kanava.Closing, f farewell) {
	c.leave(cause, wsframe.AppendCloseBody(nil, ws.StatusCode(cause.Code), cause.Reason), f)
}

// leaveAsTold is leave because the link is to be closed. A client that reads
// too slowly is not waited for.
func (c *conn) leaveAsTold(end kanava.Closing) {
	f := awaitAnswer
	if end.Code == kanava.CloseSlowConsumer {
		f = nothingMore
	}
	c.leaveWith(end, f)
}

// goodbyeSent goes on after the close frame was written.
func (c *conn) goodbyeSent() {
	c.mu.Lock()
	c.sent = true
	over, broken := c.answered, c.broken
	c.mu.Unlock()
	switch {
	case over:
		c.end(kanava.Closing{}, false)
	case broken:
		// Closing a socket that holds unread bytes resets the connection, and
		// the client might never see why. So end our side only, and read until
		// the client ends its own.
		if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the timer ends it otherwise
		}
	}
}

// goodbyeReceived goes on when nothing more comes from the client of a
// connection that is leaving.
func (c *conn) goodbyeReceived() {
	c.mu.Lock()
	c.answered = true
	over := c.sent
	c.mu.Unlock()
	if over {
		c.end(kanava.Closing{}, false)
	}
}

// end closes the socket and tells the link: cause, unless the connection was
// leaving with one. Reader and writer then find the socket closed. If hard is
// set, bytes that the client has not taken are thrown away.
func (c *conn) end(cause kanava.Closing, hard bool) {
	c.mu.Lock()
	switch c.phase.Load() {
	case ended:
		c.mu.Unlock()
		return
	case leaving:
		cause = c.cause
	}
	c.phase.Store(ended)
	c.cause, c.goodbye, c.due, c.pong = cause, nil, 0, nil
	c.timer.Stop()
	c.mu.Unlock()

	nc := c.nc
	if hard {
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn() // closing the tls.Conn would wait to write an alert
		}
		if t, ok := nc.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // the worst is that the kernel tries on for a while
		}
	}
	_ = nc.Close() // nothing is left to be done about it
	c.link.Disconnect(cause.Code, cause.Reason)
}
