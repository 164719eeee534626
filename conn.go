package kanava

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// conn is one connection: the engine behind Channel and Link. It owns no
// goroutine: one exists while messages wait to be worked off, one for each
// stream and Concurrent function.
//
// Locks are taken in this order: sessions, subMu, the hub's, mu, outbox.mu. Those
// of presences are among the hub's, in this order: presenceOwner.mu,
// memoryLeases.mu, gathering.mu, presenceWatch.mu; presences.mu and presence.mu
// are taken last.
type conn struct {
	core   *core
	def    *channelDef
	form   form.Form
	id     connID // set when the server knows the connection
	ch     Conn   // the *Channel, which holds the opening data
	opened int64  // since begun
	out    outbox
	v1     *envelopeConn // what kanava.v1 needs besides; nil in other forms

	rate    bucket
	strikes atomic.Int32 // what was refused for its rate in a row

	slot int32                // guarded by core.mu: where it stands among those of its channel
	more atomic.Pointer[rare] // see rare and ownRare; nil while there is none

	current  atomic.Pointer[session] // nil while nobody has signed in
	sessions sync.RWMutex            // held to change the session; read-held while a subscription is made

	subMu      sync.Mutex
	subs       subscriptions // guarded by subMu
	recoveries int8          // guarded by subMu: answers to recover under way
	gone       bool          // guarded by subMu: no more of either

	started  bool      // guarded by mu, as is all that follows: OnConnect runs, has run or does not have to: OnDisconnect follows
	working  bool      // a goroutine works waiting off
	blocked  bool      // the transport was told to wait, and Wake has not come
	looking  bool      // a message was taken from waiting whose call has not begun: it counts as if it waited
	draining bool      // no new messages; closes when idle
	buried   bool      // OnDisconnect has returned
	phase    phase     // where it stands
	away     CloseCode // what the client was told that the connection ends with; 0 is nothing
	mu       sync.Mutex
	running  int32 // number of calls
	beside   int32 // how many of them others run beside
	holders  int32 // running calls that the close waits for
	bytes    int   // of waiting
	waiting  borrowed[message]
	calls    *call // the running ones
	ordered  *call // the one whose turn it is
}

type phase uint8

const (
	phaseNew        phase = iota // not started
	phaseGreeting                // kanava.v1: the client has yet to say hello
	phaseConnecting              // OnConnect runs
	phaseOpen
	phaseClosing // Close was called
	phaseEnded   // the transport has disconnected
	phaseDone    // OnDisconnect was started
)

// message is one message that waits for its turn.
type message struct {
	data   []byte
	room   *messageRoom // where data lies; nil if it belongs to the function
	binary bool

	// Of kanava.v1.
	id       uint64 // of the call; 0 for none
	canceled bool   // the client has canceled the call
}

// messageRoom is the memory of a text message while it waits and is scanned.
type messageRoom struct {
	data  []byte
	found []jsonscan.Member
}

// messages lends queues of messages that wait.
var messages lender[message]

var messagePool = sync.Pool{New: func() any { return &messageRoom{data: make([]byte, 0, 512)} }}

// release gives the memory back; nothing may refer to data any more.
func (m *message) release() {
	if m.room != nil && cap(m.room.data) <= 16<<10 {
		m.room.data = m.room.data[:0]
		messagePool.Put(m.room)
	}
	m.data, m.room = nil, nil
}

// flushTime bounds how long a close waits for functions to return.
const flushTime = 5 * time.Second

func (c *conn) isNamed(id string) bool { return c.is(id) }

func (c *conn) state() State {
	if c.out.isClosed() {
		return StateClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase <= phaseConnecting:
		return StateInitial
	case c.phase == phaseOpen:
		return StateOpen
	}
	return StateClosed
}

func (c *conn) closed() (CloseCode, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase < phaseEnded {
		return 0, ""
	}
	ended := c.rare().ended
	return ended.Code, ended.Reason
}

// start begins the connection's life: OnConnect, then messages.
func (c *conn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseNew {
		return
	}
	if c.form.Envelope() {
		c.phase = phaseGreeting
		c.v1.start(c)
		return
	}
	c.started = true
	if c.def.onConnect != nil {
		c.phase, c.working = phaseConnecting, true
		c.out.hold()
		go c.work(true, nil)
		return
	}
	c.phase = phaseOpen
	if c.waiting.len() > 0 {
		c.working = true
		go c.work(false, nil)
	}
	c.settle()
}

// receive takes a message; see Link.Receive.
func (c *conn) receive(data []byte, binary bool) (more bool) {
	more, work := c.accept(data, binary)
	if work {
		go c.work(false, nil)
	}
	return more
}

// accept takes a message; see Link.Accept.
func (c *conn) accept(data []byte, binary bool) (more, work bool) {
	if len(data) == 0 && !binary {
		c.chargeNoise(1)
		return !c.full(), false
	}
	if c.out.isClosed() {
		return !c.full(), false
	}
	m := message{binary: binary}
	if binary {
		m.data = append([]byte{}, data...) // OnBinary owns it
	} else {
		m.room = messagePool.Get().(*messageRoom)
		m.room.data = append(m.room.data[:0], data...)
		m.data = m.room.data
	}
	if c.form.Envelope() {
		return c.receiveFrame(m)
	}
	return c.enqueue(m)
}

// enqueue puts a message behind those that wait. It reports whether the
// transport may read on, and whether the caller has to see to it that they are
// worked off.
func (c *conn) enqueue(m message) (more, work bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= phaseClosing {
		m.release()
		return true, false
	}
	if c.draining {
		m.release()
		c.sendError(form.Route{ID: m.id}, Errorf(CodeUnavailable, "the server is shutting down"))
		return true, false
	}
	if c.isAsking() && c.overfull() {
		m.release()
		c.sendError(form.Route{ID: m.id}, Errorf(CodeResourceExhausted, "too many calls are waiting: the limit is %d", c.def.limits.WaitingCalls))
		return true, false
	}
	c.waiting.push(m, &messages)
	c.bytes += len(m.data)
	if c.phase == phaseOpen && !c.working {
		c.working, work = true, true
	}
	c.blocked = c.isFull()
	return !c.blocked, work
}

// full reports whether the transport has to wait. Whoever is told so is woken:
// the connection can be full again since the last Wake.
func (c *conn) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked = c.isFull()
	return c.blocked
}

// isFull reports whether reading has to stop. It goes on while a function
// waits for the client's answer, which comes behind whatever else comes.
func (c *conn) isFull() bool {
	return c.phase < phaseClosing && !c.isAsking() && c.overfull()
}

func (c *conn) overfull() bool {
	l := &c.def.limits
	calls := int(c.running-c.beside) + c.waiting.len()
	if c.looking {
		calls++
	}
	return calls >= l.WaitingCalls || c.bytes >= l.WaitingBytes
}

// resume wakes the transport if it was told to wait and there is room again.
func (c *conn) resume() {
	if c.blocked && !c.isFull() {
		c.blocked = false
		c.out.peer.Wake()
	}
}

// work runs what waits, one message at a time, and ends when nothing does. The
// goroutine is the connection's own, or lent by host if that is not nil: then
// work ends as soon as it knows that it would take long, and another goroutine
// goes on.
func (c *conn) work(connect bool, host Host) {
	done := false
	defer func() {
		if !done { // a function ended this goroutine by runtime.Goexit
			go c.work(false, nil)
		}
	}()
	if connect && c.greet() {
		c.connect()
	}
	for {
		// A client that does not read the replies it causes gets no more of
		// them: its messages wait, and then it is not read from any more.
		room := c.queueLimit() / 2
		if host == nil {
			c.out.waitRoom(room)
		} else if !c.out.hasRoom(room) {
			go c.work(false, nil)
			break
		}
		m, ok := c.nextMessage()
		if !ok {
			break
		}
		if host, ok = c.handle(m, host); !ok {
			break
		}
	}
	done = true
}

func (c *conn) nextMessage() (m message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseConnecting { // only after a Goexit in OnConnect
		c.phase = phaseOpen
	}
	c.looking = false // still so if a refusal ended its goroutine
	if c.phase != phaseOpen || c.waiting.len() == 0 {
		c.working = false
		c.resume()
		c.settle()
		return m, false
	}
	m = c.waiting.pop(&messages)
	c.bytes -= len(m.data)
	c.looking = true
	if c.v1 != nil {
		c.v1.taken, c.v1.canceled = m.id, false
	}
	c.resume() // fewer bytes wait
	return m, true
}

// lookedAt says that the message which was taken last gets no call.
func (c *conn) lookedAt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looking = false
	c.resume()
}

// connect runs OnConnect, unless the session may not or the client has left
// by now.
func (c *conn) connect() {
	ran := false
	v := c.visit()
	if c.def.onConnect == nil { // of kanava.v1, which tells all the same that it is over
		ran = true
		c.out.release(c.openedItem(), true)
	} else if err := v.connects(c); err != nil {
		c.refuse(context.Background(), err)
	} else if err := c.permit(c.def.onConnect); err != nil {
		c.core.logRefusal(c, form.Route{}, err)
		c.refuse(context.Background(), err)
	} else if x := c.newCall(c.def.onConnect, message{}); c.begin(x, true) {
		x.run()
		ran = true
	}
	if v != nil && ran {
		v.connected()
	}
	c.out.release(nil, true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = ran
	if c.phase == phaseConnecting {
		c.phase = phaseOpen
	}
}

// close ends the connection from this side; see Channel.Close.
func (c *conn) close(ctx context.Context, code CloseCode, reason string) error {
	if !code.sendable() {
		panic("kanava: Close: " + code.String() + " is no code that a program may send: use Kanava's or 4000 to 4399")
	}
	c.closeWith(ctx, Closing{Code: code, Reason: fitReason(reason)})
	return nil
}

func (c *conn) closeWith(ctx context.Context, closing Closing) {
	caller := callOf(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= phaseClosing {
		return
	}
	c.phase = phaseClosing
	c.ownRare().closing = &closing
	c.discard()
	for x := c.calls; x != nil; x = x.next {
		if x == caller || x == c.ordered {
			x.holds = true
			c.holders++
		} else {
			x.cancel(context.Canceled)
		}
	}
	if c.holders > 0 {
		c.ownRare().closeWait = time.AfterFunc(flushTime, func() { c.out.close(closing, false) })
	}
	c.resume() // the transport has to read the client's answer to the close
	c.settle()
}

// slow closes the connection because its outbox is full. Locks of the hub may
// be held.
func (c *conn) slow() {
	c.out.close(Closing{Code: CloseSlowConsumer, Reason: CloseSlowConsumer.String()}, true)
}

// drain ends the connection as soon as its running and waiting calls are done.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.tellDraining()
	c.settle()
}

// cut is drain whose time is over.
func (c *conn) cut(closing Closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase < phaseClosing {
		c.phase = phaseClosing
		c.ownRare().closing = &closing
	}
	c.discard()
	for x := c.calls; x != nil; x = x.next {
		x.cancel(context.Canceled)
	}
	c.out.close(closing, false)
	c.resume()
}

// disconnect is the end, however it came about; see Link.Disconnect.
func (c *conn) disconnect(code CloseCode, reason string) {
	c.mu.Lock()
	if c.phase >= phaseEnded {
		c.mu.Unlock()
		return
	}
	c.phase = phaseEnded
	ended := Closing{Code: code, Reason: reason}
	c.ownRare().ended = &ended
	c.discard()
	for x := c.calls; x != nil; x = x.next {
		x.cancel(context.Canceled)
	}
	c.mu.Unlock()

	if c.v1 != nil {
		c.v1.hear()
	}
	c.ownRare().life.end()
	c.out.close(ended, true)
	c.leaveHub()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
}

// discard drops the messages that wait; c.mu is held.
func (c *conn) discard() {
	for c.waiting.len() > 0 {
		m := c.waiting.pop(&messages)
		m.release()
	}
	c.bytes = 0
}

// settle does what waits for calls to end; c.mu is held. It is called whenever
// something changed that could make that true.
func (c *conn) settle() {
	idle := c.running == 0 && !c.working
	if v := c.visit(); v != nil {
		v.Wake()
	}
	switch {
	case c.phase == phaseEnded && idle:
		c.phase = phaseDone
		if t := c.rare().closeWait; t != nil {
			t.Stop()
		}
		go c.farewell(c.started)
	case c.phase == phaseClosing && c.holders == 0:
		c.out.close(*c.rare().closing, false)
	case c.phase < phaseClosing && c.draining && idle && c.waiting.len() == 0:
		c.phase = phaseClosing
		c.ownRare().closing = c.core.drainClosing()
		c.out.close(*c.rare().closing, false)
	}
}

// farewell runs OnDisconnect, which belongs to an OnConnect, and buries the
// connection.
func (c *conn) farewell(started bool) {
	defer c.bury()
	c.endSession()
	if a := c.def.onDisc; started && a != nil && c.permit(a) == nil {
		x := c.newCall(a, message{})
		c.begin(x, true)
		x.run()
	}
}

func (c *conn) bury() {
	c.tellDropped(c.out.news())
	code, _ := c.closed()
	c.core.observer.ConnClosed(ConnInfo{c.id.String(), c.def.name}, code, time.Duration(sinceBegun(time.Now())-c.opened))
	c.core.remove(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buried = true
	if done := c.rare().done; done != nil {
		close(done)
	}
}

// doneChan returns a channel that is closed when the connection is buried.
func (c *conn) doneChan() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.ownRare()
	if r.done == nil {
		r.done = make(chan struct{})
		if c.buried {
			close(r.done)
		}
	}
	return r.done
}
