package client

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// run is one connection of a Conn, from the first attempt to its end. Its
// fields are guarded by Conn.mu unless they say otherwise.
type run struct {
	c      *Conn
	by     Transport
	second bool            // the other transport was tried right before
	life   context.Context //nolint:containedctx // it is the connection's own
	cancel context.CancelFunc
	over   chan struct{} // closed when no goroutine uses the link any more
	dead   chan struct{} // closed by stop
	wake   chan struct{} // holds one: there is something to write
	link   link          // set once, before the goroutines that use it

	ended    bool
	returns  bool          // it ends because a WebSocket opens again
	after    time.Duration // to come back, as a refusal said
	plain    bool          // the other transport would end no other way
	farewell CloseCode     // to tell the peer
	out      []message     // to be written
	outBytes int           // in out, and of what is being written
	room     chan struct{}

	server   *greeting // what open says; nil before
	openedAt time.Time
	ready    bool // authenticated
	ids      uint64
	running  int // calls without their last frame
	recovers int
	replies  map[uint64]reply
	asked    map[uint64]*ask
	away     *away
	heard    heard
	frame    frame // the one that is being taken
}

// reply is what waits for frames with the id of a request.
type reply interface {
	// replied takes a frame.
	replied(f *frame)
	// abandoned takes that the connection is lost.
	abandoned()
}

// inOrder returns what waits in the order of sending.
func inOrder(replies map[uint64]reply) []reply {
	list := make([]reply, 0, len(replies))
	for _, id := range slices.Sorted(maps.Keys(replies)) {
		list = append(list, replies[id])
	}
	return list
}

func newRun(c *Conn, by Transport, second bool) *run {
	r := &run{
		c:       c,
		by:      by,
		second:  second,
		over:    make(chan struct{}),
		dead:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
		room:    make(chan struct{}),
		replies: map[uint64]reply{},
		asked:   map[uint64]*ask{},
	}
	r.life, r.cancel = context.WithCancel(context.Background())
	return r
}

// closeTime is how long a peer may take to read what is left and to answer that
// the connection is closed.
const closeTime = time.Second

// stop begins the end of the connection. What is left is sent if there is a
// code to tell the peer. c.mu is held.
func (r *run) stop(code CloseCode) {
	r.ended, r.farewell = true, code
	r.cancel()
	close(r.dead)
	if r.link == nil {
		close(r.over) // whoever connects finds that it is too late
		return
	}
	r.c.spawn(func() {
		if code != 0 {
			t := time.NewTimer(closeTime)
			defer t.Stop()
			select {
			case <-r.over:
				return
			case <-t.C:
			}
		}
		r.link.abort()
	})
}

// hello is the first frame of a client.
type hello struct {
	Contract string   `json:"contract,omitzero"`
	Token    string   `json:"token,omitzero"`
	Was      []string `json:"was,omitempty"`
}

// connect makes the connection and reads until it ends.
func (r *run) connect() {
	c := r.c
	l, err := r.dial()
	c.mu.Lock()
	if r.ended {
		c.mu.Unlock()
		if l != nil {
			l.close(0)
		}
		return
	}
	if err != nil {
		e := &ending{code: CloseLost, reason: err.Error(), plain: true}
		if !errors.As(err, &e) {
			c.tell(listenError, err) // the program's own
		}
		r.plain, r.after = e.plain, millis(e.after)
		c.lose(e.code, e.Error(), false)
		c.mu.Unlock()
		return
	}
	r.link = l
	c.cancelTimer(timerTurn)
	c.become(State{Phase: Greeting})
	c.spawn(r.write)
	c.mu.Unlock()
	r.read()
}

func (r *run) dial() (link, error) {
	c := r.c
	first := hello{Contract: c.spec.Contract}
	if c.settings.token != nil {
		token, err := c.settings.token(r.life)
		if err != nil {
			return nil, err
		}
		first.Token = token
	}
	c.mu.Lock()
	first.Was = c.was
	c.mu.Unlock()
	text, err := json.Marshal(struct {
		Hello hello `json:"hello"`
	}{first})
	if err != nil {
		return nil, err
	}
	if r.by == ServerSentEvents {
		return c.settings.events(r.life, text)
	}
	return c.settings.webSocket(r.life, text)
}

// read takes messages until the connection has ended.
func (r *run) read() {
	c := r.c
	for {
		m, err := r.link.read()
		c.mu.Lock()
		switch {
		case err != nil:
			if !r.ended {
				e := &ending{code: CloseLost, reason: err.Error()}
				errors.As(err, &e)
				reason := e.Error()
				if r.away != nil {
					e.code = r.away.code
				}
				if c.reason != nil {
					reason = c.reason.Message
				}
				c.lose(e.code, reason, false)
			}
			c.mu.Unlock()
			return
		case r.ended: // the peer has not seen that yet
		default:
			r.alive()
			r.receive(m)
			if r.outBytes > deafSize && !r.ended {
				c.lose(CloseLost, "the server does not read", false)
			}
		}
		c.mu.Unlock()
		r.pace()
	}
}

// Calls wait while more than this is unwritten. What else a server makes a client
// say, such as that nothing handles its calls, may come to deafSize: then it
// does not read.
const (
	maxUnwritten = 256 << 10
	deafSize     = 8 << 20
	messageCost  = 64 // of a message beside its bytes
)

// send queues a text frame. c.mu is held.
func (r *run) send(frame []byte) { r.queue(message{data: frame}) }

func (r *run) queue(m message) {
	if r.ended {
		return
	}
	r.out = append(r.out, m)
	r.outBytes += messageCost + len(m.data)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued, and ends the link.
func (r *run) write() {
	defer close(r.over)
	c := r.c
	var batch []message
	for ended, failed := false, false; !ended; {
		select {
		case <-r.wake:
		case <-r.dead:
		}
		c.mu.Lock()
		batch, r.out = r.out, batch[:0]
		size := 0
		for i := range batch {
			size += messageCost + len(batch[i].data)
		}
		ended = r.ended
		c.mu.Unlock()
		if ended && r.farewell == 0 {
			break
		}
		if len(batch) > 0 && !failed {
			if err := r.link.write(batch); err != nil {
				failed = true
				c.mu.Lock()
				if !r.ended { // reading may yet find out why
					c.later(timerBroken, time.Second, func() { c.lose(CloseLost, err.Error(), false) })
				}
				c.mu.Unlock()
			}
		}
		clear(batch)
		c.mu.Lock()
		full := r.outBytes >= maxUnwritten
		r.outBytes -= size
		if full && r.outBytes < maxUnwritten && !r.ended {
			close(r.room)
			r.room = make(chan struct{})
			c.flush()
		}
		c.mu.Unlock()
	}
	r.link.close(r.farewell)
}

// SendBinary sends bytes, which belong to the caller again when it returns. It
// waits while much is unsent. There is no answer; the bytes may be lost with
// the connection. An *Error has CodeUnavailable if there is no connection,
// CodeTooLarge if the server does not take that much (by server-sent events three
// quarters of it, because bytes travel as base64), or that of ctx.
func (c *Conn) SendBinary(ctx context.Context, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.run
	for r != nil && r.server != nil && !r.ended && r.outBytes >= maxUnwritten {
		room := r.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-r.dead:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return given(ctx, "the bytes were not sent")
	case r == nil || r.server == nil || r.ended:
		return fault(CodeUnavailable, "there is no connection")
	}
	m := message{data: slices.Clone(p), binary: true}
	if r.link.textOnly() {
		m = message{data: asText(p)}
	}
	if len(m.data) > r.server.Max {
		return tooLarge()
	}
	r.queue(m)
	return nil
}

// asText returns bytes as the frame that they are where all is text.
func asText(p []byte) []byte {
	b := append(make([]byte, 0, base64.StdEncoding.EncodedLen(len(p))+10), `{"bin":"`...)
	b = base64.StdEncoding.AppendEncode(b, p)
	return append(b, `"}`...)
}

// nextID returns an id that was not used on this connection. c.mu is held.
func (r *run) nextID() uint64 {
	r.ids++
	return r.ids
}

// greeting is what a server tells at first.
type greeting struct {
	ID       string  `json:"id"`
	Max      int     `json:"max"`   // bytes of a message
	Calls    int     `json:"calls"` // unanswered calls allowed
	Ping     float64 `json:"ping"`  // milliseconds, as those below
	Keep     float64 `json:"keep"`
	Keys     float64 `json:"keys"`
	Contract string  `json:"contract"`
}

// open takes the answer to the hello. c.mu is held.
func (r *run) open(raw []byte) error {
	if r.server != nil {
		return nil
	}
	g := &greeting{}
	if err := json.Unmarshal(raw, g); err != nil {
		return err
	}
	g.Max = cmp.Or(max(g.Max, 0), 64<<10)
	g.Calls = max(g.Calls, 1)
	c := r.c
	r.server, r.openedAt = g, time.Now()
	c.was = append([]string{g.ID}, c.was[:min(len(c.was), 7)]...)
	c.refused = 0
	c.cancelTimer(timerGreet)
	c.path.opened(r.by)
	c.probeLater()
	r.alive()
	r.watch()
	if g.Keep > 0 {
		r.keep()
	}
	c.become(State{Phase: Open, Transport: r.by, Contract: g.Contract})
	if c.settings.authenticate != nil {
		c.signIn()
		return nil
	}
	c.becomeReady(r)
	return nil
}
