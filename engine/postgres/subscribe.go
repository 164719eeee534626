package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/kanava-go/kanava/engine"
)

// subscriptions are the topics that the hub is subscribed to. The link listens to
// their channels.
type subscriptions struct {
	mu       sync.Mutex               // guards what follows, and what link says
	by       map[string]*subscription // by what stands for the topic in notifications
	channels [channels]listening
}

// subscription is a topic the hub is subscribed to.
type subscription struct {
	topic   string
	channel int
	told    bool // Subscribe has returned: from then on the hub must not miss anything unnoticed
}

// listening is a channel that topics come by.
type listening struct {
	topics int           // how many there are that the hub is subscribed to
	made   bool          // the link listens to it, by the connection that it has
	waited chan struct{} // closed when it is made; nil if nobody waits
}

// Subscribe implements [engine.Broker].
func (e *Engine) Subscribe(ctx context.Context, t engine.Topic) error {
	if err := e.subscribe(ctx, t); err != nil {
		return fmt.Errorf("postgres: subscribe: %w", err)
	}
	return nil
}

func (e *Engine) subscribe(ctx context.Context, t engine.Topic) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	name := topicName(head(t))
	e.subs.mu.Lock()
	s := e.subs.by[name]
	if s == nil {
		s = &subscription{topic: t.Name, channel: channelOf(t.Name)}
		e.subs.by[name] = s
		e.subs.channels[s.channel].topics++
	}
	c := &e.subs.channels[s.channel]
	if c.made {
		s.told = true
		e.subs.mu.Unlock()
		return nil
	}
	if c.waited == nil {
		c.waited = make(chan struct{})
	}
	made := c.waited
	e.link.kick()
	e.subs.mu.Unlock()
	select {
	case <-made:
		return nil
	case <-e.life.Done():
		return engine.ErrClosed
	case <-ctx.Done():
		return e.because(ctx.Err())
	}
}

// Unsubscribe implements [engine.Broker].
func (e *Engine) Unsubscribe(t engine.Topic) {
	name := topicName(head(t))
	e.subs.mu.Lock()
	defer e.subs.mu.Unlock()
	s := e.subs.by[name]
	if s == nil {
		return
	}
	delete(e.subs.by, name)
	c := &e.subs.channels[s.channel]
	if c.topics--; c.topics == 0 {
		e.link.kick()
	}
}

// change is what the link changes: numbers of channels.
type change struct{ listen, unlisten []int }

// next returns what is to be changed, and notes that nobody can rely any more on
// what is given up.
func (s *subscriptions) next() (ch change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.channels {
		switch c := &s.channels[n]; {
		case c.topics > 0 && !c.made:
			ch.listen = append(ch.listen, n)
		case c.topics == 0 && c.made:
			c.made = false
			ch.unlisten = append(ch.unlisten, n)
		}
	}
	return ch
}

// changed notes that the link listens to channels, and returns the topics of which
// something may have been missed.
func (s *subscriptions) changed(ch change) (missed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var made [channels]bool
	for _, n := range ch.listen {
		c := &s.channels[n]
		made[n], c.made = true, true
		if c.waited != nil {
			close(c.waited)
			c.waited = nil
		}
	}
	for _, sub := range s.by {
		if made[sub.channel] {
			if sub.told {
				missed = append(missed, sub.topic)
			}
			sub.told = true
		}
	}
	return missed
}

// lost notes that there is no connection any more.
func (s *subscriptions) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.channels {
		s.channels[n].made = false
	}
}
