package client

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// This file tells the program what happens. Its functions are called one after
// the other, in the order in which things happened, on one goroutine of the
// connection that exists only while there is something to tell.
//
// What they have not been told yet is bounded. Up to maxTold it waits, and when
// there is more the client stops reading, unless something waits for an answer.
// After slowTime, or at maxUntold, the connection is ended with
// CloseSlowConsumer, and what can be recovered is recovered on the next one.
const (
	maxTold   = 1 << 20
	maxUntold = 4 << 20
	slowTime  = 30 * time.Second
	eventSize = 512 // what stands for one event beside its bytes
)

// Topic is the topic of an event: its name, such as "room:general", and the
// part behind the family.
type Topic struct{ Name, Key string }

// Lost says that events of a topic after From and up to To are lost.
type Lost struct {
	Topic    string
	From, To Position
}

// Dropped is a call that was refused because too many wait for a connection.
type Dropped struct {
	Action string
	Err    *Error
}

// Listener is a function that is told of something.
type Listener struct {
	c       *Conn
	at      listenKey
	key     string // of a topic
	every   bool   // every key
	stopped atomic.Bool

	tell   func(h *happening) error
	answer func(ctx context.Context, in []byte) ([]byte, error)
}

// Stop ends the listening. A call of the function that has begun goes on. Stop
// twice is once.
func (l *Listener) Stop() {
	l.stopped.Store(true)
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.at.kind == listenCall {
		if c.handlers[l.at.name] == l {
			delete(c.handlers, l.at.name)
		}
		return
	}
	list := c.events.listeners[l.at]
	if i := slices.Index(list, l); i >= 0 {
		c.events.listeners[l.at] = slices.Concat(list[:i], list[i+1:]) // the old one may be in use
	}
}

// wants reports whether the listener is told of a topic of its family.
func (l *Listener) wants(t Topic) bool { return l.every || l.key == t.Key }

// The kinds of what is listened to.
type listenKind byte

const (
	listenTopic listenKind = iota
	listenPresence
	listenPush
	listenOpened
	listenBinary
	listenState
	listenLost
	listenDropped
	listenError
	listenCall
)

type listenKey struct {
	kind listenKind
	name string // of a topic family, a presence or a push
}

// happening is something to tell.
type happening struct {
	at     listenKey
	topic  Topic
	data   []byte
	binary bool // data is base64
	value  any  // where there is no data
	only   *Listener
	begin  func(*happening) // finds out what is to be told, when it is told; with c.mu held
}

func (h *happening) size() int { return eventSize + len(h.data) }

// OnTopic tells f the events of one topic, "family:key".
func OnTopic[T any](c *Conn, family, key string, f func(T, Topic)) *Listener {
	return c.listen(&Listener{at: listenKey{listenTopic, family}, key: key, tell: topicTeller(c, f)})
}

// OnTopics tells f the events of all topics of a family.
func OnTopics[T any](c *Conn, family string, f func(T, Topic)) *Listener {
	return c.listen(&Listener{at: listenKey{listenTopic, family}, every: true, tell: topicTeller(c, f)})
}

func topicTeller[T any](c *Conn, f func(T, Topic)) func(h *happening) error {
	return func(h *happening) error {
		var v T
		if h.binary {
			data, err := unbase64(h.data)
			if err != nil {
				return err
			}
			to, ok := any(&v).(*[]byte)
			if !ok {
				return fault(CodeInvalidFrame, "the event of "+h.topic.Name+" is bytes, not JSON")
			}
			*to = data
		} else if err := c.decode(h.data, &v); err != nil {
			return err
		}
		f(v, h.topic)
		return nil
	}
}

// OnPush tells f the values of a push.
func OnPush[T any](c *Conn, name string, f func(T)) *Listener {
	return c.listen(&Listener{at: listenKey{listenPush, name}, tell: valueTeller(c, f)})
}

// OnOpened tells f of each connection when OnConnect is over, with its result.
func OnOpened[T any](c *Conn, f func(T)) *Listener {
	return c.listen(&Listener{at: listenKey{kind: listenOpened}, tell: valueTeller(c, f)})
}

func valueTeller[T any](c *Conn, f func(T)) func(h *happening) error {
	return func(h *happening) error {
		var v T
		if len(h.data) > 0 {
			if err := c.decode(h.data, &v); err != nil {
				return err
			}
		}
		f(v)
		return nil
	}
}

// Opened waits until OnConnect of the first connection is over, and returns its
// result. It fails when ctx ends, and when the connection is closed for good.
func Opened[T any](ctx context.Context, c *Conn) (T, error) {
	var v T
	raw, err := c.waitOpened(ctx)
	if err == nil && len(raw) > 0 {
		err = c.decode(raw, &v)
	}
	return v, err
}

// OnState tells f of each change of the state.
func (c *Conn) OnState(f func(State)) *Listener { return on(c, listenState, f) }

// OnLost tells f of events that are lost: whoever keeps a copy of something
// fetches it again.
func (c *Conn) OnLost(f func(Lost)) *Listener { return on(c, listenLost, f) }

// OnDropped tells f of calls that were refused because too many wait for a
// connection.
func (c *Conn) OnDropped(f func(Dropped)) *Listener { return on(c, listenDropped, f) }

// OnError tells f of errors that belong to no call.
func (c *Conn) OnError(f func(error)) *Listener { return on(c, listenError, f) }

// OnBinary tells f the bytes that the server sends.
func (c *Conn) OnBinary(f func([]byte)) *Listener {
	return c.listen(&Listener{at: listenKey{kind: listenBinary}, tell: func(h *happening) error {
		f(h.data)
		return nil
	}})
}

func on[T any](c *Conn, kind listenKind, f func(T)) *Listener {
	return c.listen(&Listener{at: listenKey{kind: kind}, tell: func(h *happening) error {
		f(h.value.(T))
		return nil
	}})
}

func (c *Conn) listen(l *Listener) *Listener {
	l.c = c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events.listeners[l.at] = slices.Concat(c.events.listeners[l.at], []*Listener{l})
	return l
}

// events is what has happened and was not told; guarded by Conn.mu.
type events struct {
	listeners map[listenKey][]*Listener // the slices are never changed
	list      []*happening
	size      int
	telling   bool          // there is a goroutine that tells
	silent    bool          // Close was called
	stirred   chan struct{} // closed and replaced when whoever waits with reading has to look again
}

func newEvents() events {
	return events{listeners: map[listenKey][]*Listener{}, stirred: make(chan struct{})}
}

func (e *events) stir() {
	close(e.stirred)
	e.stirred = make(chan struct{})
}

// tell is happen for what the client itself has to say. c.mu is held.
func (c *Conn) tell(kind listenKind, value any) {
	c.happen(listenKey{kind: kind}, &happening{value: value})
}

// happen queues something for those who listen. c.mu is held.
func (c *Conn) happen(at listenKey, h *happening) {
	e := &c.events
	if len(e.listeners[at]) == 0 {
		return
	}
	h.at = at
	e.list = append(e.list, h)
	e.size += h.size()
	if !e.telling {
		e.telling = true
		c.spawn(c.tellAll)
	}
}

// tellAll tells what has happened until there is nothing left.
func (c *Conn) tellAll() {
	e := &c.events
	for {
		c.mu.Lock()
		if len(e.list) == 0 {
			e.list, e.telling = nil, false
			c.mu.Unlock()
			return
		}
		h := e.list[0]
		e.list[0] = nil
		e.list = e.list[1:]
		full := e.size > maxTold
		e.size -= h.size()
		if full && e.size <= maxTold {
			e.stir()
		}
		if h.begin != nil {
			h.begin(h)
		}
		list := e.listeners[h.at]
		if e.silent && h.at.kind != listenState {
			list = nil
		}
		c.mu.Unlock()
		for _, l := range list {
			if l.stopped.Load() || h.only != nil && h.only != l || h.topic != (Topic{}) && !l.wants(h.topic) {
				continue
			}
			if err := l.tell(h); err != nil {
				c.mu.Lock()
				c.tell(listenError, err)
				c.mu.Unlock()
			}
		}
	}
}

// pace waits with reading while too much is untold. Whoever waits for an answer
// is more important.
func (r *run) pace() {
	c := r.c
	var waited time.Duration
	for {
		c.mu.Lock()
		full := c.events.size > maxTold && r.server != nil && !r.ended
		over := full && (c.events.size > maxUntold || waited >= slowTime)
		if over {
			c.lose(CloseSlowConsumer, "the handlers are too slow", false)
		}
		if !full || over || len(r.replies) > 0 {
			if waited > 0 && !r.ended {
				r.alive()
				r.watch()
			}
			c.mu.Unlock()
			return
		}
		c.cancelTimer(timerLife)
		stirred := c.events.stirred
		turn := slowTime - waited
		if r.server.Ping > 0 {
			turn = min(turn, millis(r.server.Ping)/2)
			r.send([]byte("{}")) // the server cannot know that this client lives
		}
		c.mu.Unlock()
		start := time.Now()
		t := time.NewTimer(turn)
		select {
		case <-stirred:
		case <-r.dead:
		case <-t.C:
		}
		t.Stop()
		waited += max(time.Since(start), time.Nanosecond)
	}
}

var (
	errTwice  = errors.New("an id is used twice")
	errBase64 = errors.New("not a string of base64")
)

// unbase64 decodes a JSON string of base64, which needs no escapes.
func unbase64(raw []byte) ([]byte, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, errBase64
	}
	return base64.StdEncoding.AppendDecode(nil, raw[1:len(raw)-1])
}
