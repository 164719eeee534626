package ws

import (
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
	Accept(data []byte, binary bool) (more, work bool)
	Work(host kanava.Host)
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

// conn is one connection: a socket behind its wire on one side, the link on the
// other. Its reader (read.go) takes what comes from the client, its writer
// (write.go) what goes there. There may be very many that have nothing to do:
// what only a busy one needs stands behind pointers that are nil.
type conn struct {
	h        *handler
	link     link         // set before the connection is open, as are streamed and alive
	streamed *streamed    // the wire, where it is one; nil where it is looped
	reading  *reading     // belongs to the reader; nil where nothing is incomplete
	heard    atomic.Int64 // clock when the last byte came from the client
	wrote    atomic.Int64 // the same of the last byte to the client; kept only if alive is set

	packed  int32         // set before the connection is open: messages of up to so many bytes go out compressed; 0: neither side compresses
	phase   atomic.Uint32 // changes with mu held
	writing atomic.Uint32 // idle, running or again
	flags   flags
	fd      int32    // of a looped wire: guarded by io; -1 once it is closed
	deaf    bool     // belongs to the reader: the client broke a rule, its bytes mean nothing
	alive   bool     // the link has a message that is sent in place of a ping
	due     controls // guarded by mu: control frames to be written

	mu       sync.Mutex // guards what follows
	pong     *[]byte    // body of the pong
	pinged   int64      // value of heard when the last ping was written
	pingedAt int64      // when that was
	ending   *ending    // set when leaving or ended

	socket // of a looped wire
}

// flags are what goroutines tell each other of a connection.
type flags struct{ v atomic.Uint32 }

const (
	parked     = 1 << iota // nobody reads, because the link is full
	controlled             // due may be set; changes with mu held
	queued                 // the loop was told to write
	toRead                 // it was told to read on, to the end
	blocked                // there is a writer, which waits for room
	lodged                 // the loop has what is to be sent next, and the socket must stay; changes with io held
	doomed                 // and it is to be closed then; the same
)

func (f *flags) has(bit uint32) bool { return f.v.Load()&bit != 0 }

func (f *flags) set(bit uint32) { f.v.Or(bit) }

func (f *flags) clear(bit uint32) { f.v.And(^bit) }

// take clears a flag, and reports whether it was set: of several who call it at
// once one gets it.
func (f *flags) take(bit uint32) bool { return f.has(bit) && f.v.And(^bit)&bit != 0 }

// ending is how a connection ends. Guarded by conn.mu.
type ending struct {
	cause    kanava.Closing // what the link is told at the end
	excess   int            // bytes from the client since then
	deadline time.Time      // when a leaving connection is cut
	goodbye  []byte         // body of the close frame
	sent     bool           // the close frame was written
	answered bool           // no close frame is expected from the client (any more)
	broken   bool           // the client broke a rule
}

// wire moves the bytes of a connection. There are two kinds: streamed has
// goroutines that block, looped has none.
type wire interface {
	// startWriter has write called, soon. Nobody calls it again before write has
	// ended.
	startWriter()
	// startReader has the reader of a parked connection try to go on.
	startReader()
	// after has tick called after d, and not when it would have been. It is called
	// with conn.mu held.
	after(d time.Duration)
	// send writes the batch to the socket. It may block until the client has taken
	// it. The error is errStalled if the client has taken nothing for too long,
	// and errLater if the wire goes on with write when there is room; last is
	// then given back.
	send(out *batch, last bool) error
	// closeWrite ends what the client is sent.
	closeWrite()
	// close closes the socket, with mu not held. If hard is set, bytes that the
	// client has not taken are thrown away.
	close(hard bool)
	// inline is the size up to which payloads are copied behind their headers.
	inline() int
}

// clock is the time in ns since some moment.
func clock() int64 { return int64(time.Since(clockStart)) }

var clockStart = time.Now()

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
	if !c.loop(nc, l, rest) {
		c.stream(nc, l, rest)
	}
}

// open is what begin does whatever the wire.
func (c *conn) open(l link) {
	c.link = l
	c.alive = l.KeepAlive() != nil
	c.heardNow()
	c.wrote.Store(c.heard.Load())
	l.Start() // before anything is read: the link cannot take a message earlier
	c.mu.Lock()
	c.pinged = -1
	c.phase.Store(open)
	c.mu.Unlock()
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
	c.ending = &ending{
		cause: cause, goodbye: body, deadline: time.Now().Add(closeTime),
		answered: f == nothingMore, broken: f == endOfStream,
	}
	c.pong = nil
	c.want(dueClose)
	c.wire().after(closeTime)
	c.mu.Unlock()
	c.unpark() // to read the client's close frame
	c.kick()
}

// want notes that control frames are due. mu is held.
func (c *conn) want(frames controls) {
	c.due |= frames
	c.flags.set(controlled)
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
	e := c.ending
	e.sent = true
	over, broken := e.answered, e.broken
	c.mu.Unlock()
	switch {
	case over:
		c.end(kanava.Closing{}, false)
	case broken:
		// Closing a socket that holds unread bytes resets the connection, and
		// the client might never see why. So end our side only, and read until
		// the client ends its own.
		c.wire().closeWrite() // the timer ends it otherwise
	}
}

// goodbyeReceived goes on when nothing more comes from the client of a
// connection that is leaving.
func (c *conn) goodbyeReceived() {
	c.mu.Lock()
	c.ending.answered = true
	over := c.ending.sent
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
		cause = c.ending.cause
	}
	c.phase.Store(ended)
	if c.ending == nil {
		c.ending = &ending{}
	}
	c.ending.goodbye, c.due, c.pong = nil, 0, nil
	c.mu.Unlock()
	c.wire().close(hard)
	c.link.Disconnect(cause.Code, cause.Reason)
}
