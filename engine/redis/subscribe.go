package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kanava-go/kanava/engine"
)

// subscriptions are the topics that the hub is subscribed to, and those it was
// until a moment ago. Each is made by the link to the server that has its slot.
type subscriptions struct {
	mu sync.RWMutex             // guards what follows, the fields of subscriptions, and conn and todo of links
	by map[string]*subscription // by channel
}

// subscription is a topic the hub is subscribed to. It is wanted or not, and on
// some connection or not: whenever these two differ, it stands in the list of a
// link, or a look at the servers will put it there.
type subscription struct {
	topic   string
	channel string
	slot    uint16
	wanted  bool
	told    bool          // Subscribe has returned: from then on the hub must not miss anything unnoticed
	made    bool          // the server has confirmed it, on that connection, and it is not being undone
	listed  bool          // it stands in the list of a link
	on      *conn         // where it is made, or being made or undone
	waited  chan struct{} // closed when it is made; nil if nobody waits
}

// Subscribe implements [engine.Broker].
func (e *Engine) Subscribe(ctx context.Context, t engine.Topic) error {
	if err := e.subscribe(ctx, t); err != nil {
		return fmt.Errorf("redis: subscribe: %w", err)
	}
	return nil
}

func (e *Engine) subscribe(ctx context.Context, t engine.Topic) error {
	if _, err := e.connected(ctx); err != nil {
		return err
	}
	channel := e.opts.topicKey(t.Name)
	e.subs.mu.Lock()
	s := e.subs.by[channel]
	if s == nil {
		s = &subscription{topic: t.Name, channel: channel, slot: slotOf(channel)}
		e.subs.by[channel] = s
	}
	s.wanted = true
	l := e.links.of(s.slot)
	if s.made && l != nil && s.on == l.conn {
		s.told = true
		e.subs.mu.Unlock()
		return nil
	}
	if s.waited == nil {
		s.waited = make(chan struct{})
	}
	made := s.waited
	if l != nil {
		l.list(s)
	} else {
		e.links.look()
	}
	e.subs.mu.Unlock()
	select {
	case <-made:
		return nil
	case <-e.done:
		return engine.ErrClosed
	case <-ctx.Done():
		return e.because(ctx.Err())
	}
}

// Unsubscribe implements [engine.Broker].
func (e *Engine) Unsubscribe(t engine.Topic) {
	channel := e.opts.topicKey(t.Name)
	e.subs.mu.Lock()
	defer e.subs.mu.Unlock()
	s := e.subs.by[channel]
	if s == nil {
		return
	}
	s.wanted, s.told, s.waited = false, false, nil
	if s.on.lost() {
		delete(e.subs.by, channel)
	} else {
		s.on.link.list(s)
	}
}

// reconcile sees to it that each subscription is on the connection that it
// should be on. The topics of a link that has none wait for it.
func (e *Engine) reconcile() {
	e.subs.mu.Lock()
	defer e.subs.mu.Unlock()
	for channel, s := range e.subs.by {
		l := e.links.of(s.slot)
		switch {
		case !s.wanted && s.on.lost():
			delete(e.subs.by, channel)
		case s.wanted && l != nil && l.conn != nil && s.on != l.conn:
			l.list(s)
		}
	}
}

// list puts a subscription into the list of what a link has to do. The caller
// holds subs.mu.
func (l *link) list(s *subscription) {
	if !s.listed {
		s.listed = true
		l.todo = append(l.todo, s)
	}
	wake(l.work)
}

// wake makes who waits for c go on.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sunsubscribed notes that a server has undone a subscription by itself: it
// does not have the slot any more.
func (e *Engine) sunsubscribed(c *conn, channel string) {
	e.subs.mu.Lock()
	defer e.subs.mu.Unlock()
	s := e.subs.by[channel]
	if s == nil || s.on != c || !s.wanted {
		return
	}
	s.on, s.made = nil, false
	e.links.look()
}

// batchTopics is how many subscriptions are made at once.
const batchTopics = 512

// change is what one step of a link changes.
type change struct {
	make, undo []*subscription
	from       []*conn // connections of other links that topics were on
}

// next takes some of the list of a link, and notes that it is being done.
func (l *link) next(c *conn) (ch change) {
	subs := &l.e.subs
	subs.mu.Lock()
	defer subs.mu.Unlock()
	n := min(len(l.todo), batchTopics)
	for _, s := range l.todo[:n] {
		s.listed = false
		switch {
		case s.wanted && l.e.links.of(s.slot) != l:
			if other := l.e.links.of(s.slot); other != nil {
				other.list(s)
			}
		case s.wanted && s.on == c && s.made:
			s.confirm()
		case s.wanted && s.on != c:
			if !s.on.lost() {
				ch.from = append(ch.from, s.on)
			}
			s.on, s.made = c, false
			ch.make = append(ch.make, s)
		case !s.wanted && s.on == c:
			s.made = false // who wants it again meanwhile waits
			ch.undo = append(ch.undo, s)
		case !s.wanted && s.on.lost():
			delete(subs.by, s.channel)
		}
	}
	clear(l.todo[:n])
	if l.todo = l.todo[n:]; len(l.todo) == 0 {
		l.todo = nil
	}
	return ch
}

// confirm tells who waits that a subscription is made.
func (s *subscription) confirm() {
	if s.waited != nil {
		close(s.waited)
		s.waited, s.told = nil, true
	}
}

// step does some of the list of a link, and tells the hub of which topics it
// may have missed events. It is false when there is nothing to do.
func (l *link) step(ctx context.Context, c *conn) bool {
	ch := l.next(c)
	for _, from := range ch.from {
		from.delivering.Lock()   // what it delivers at this moment is delivered before
		from.delivering.Unlock() //nolint:staticcheck // see above
	}
	if len(ch.make)+len(ch.undo) == 0 {
		l.e.subs.mu.RLock()
		defer l.e.subs.mu.RUnlock()
		return len(l.todo) > 0
	}
	madeErrs, undoneErrs := c.change(ctx, ch)
	if missed := l.changed(c, ch, madeErrs, undoneErrs); len(missed) > 0 {
		l.e.handler.Resumed(missed...)
	}
	return true
}

// changed notes what has become of a change, and returns the topics of which
// something may have been missed.
func (l *link) changed(c *conn, ch change, madeErrs, undoneErrs []error) (missed []string) {
	subs := &l.e.subs
	subs.mu.Lock()
	defer subs.mu.Unlock()
	for i, s := range ch.make {
		if s.on != c {
			continue // undone by the server meanwhile
		}
		if err := madeErrs[i]; err != nil {
			s.on = nil
			l.e.links.look()
			if !errors.Is(err, context.Canceled) {
				l.e.troubled(err)
			}
			continue
		}
		s.made = true
		if s.wanted && s.told {
			missed = append(missed, s.topic)
		}
		if s.wanted {
			s.confirm()
		}
	}
	for i, s := range ch.undo {
		if undoneErrs[i] != nil {
			continue // the connection is lost
		}
		s.on, s.made = nil, false
		if s.wanted {
			l.list(s)
		} else {
			delete(subs.by, s.channel)
		}
	}
	return missed
}
