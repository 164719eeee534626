package client

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
)

// This file subscribes to topics that the server lets clients subscribe to
// (docs/protocol.md P8), and does so again on each connection.

// Subscription keeps a connection subscribed to a topic until it is stopped.
type Subscription struct {
	c       *Conn
	topic   string
	stopped atomic.Bool
}

// topicInput is the input of the server's actions subscribe and unsubscribe.
type topicInput struct {
	Topic string `json:"topic"`
}

// Subscribe subscribes to a topic, "family:key", and again whenever the
// connection was made anew and has authenticated, until Stop. Its events are
// told to those who listen; see [OnTopic]. Several subscriptions to one topic
// are one for the server, which ends with the last of them.
//
// It waits as [Do] does: in Options.Setup there is no connection yet to wait for. Its error is that of the server, and then there is no
// subscription. A refusal on a later connection is told to OnError, and tried
// again on the next one.
func Subscribe(ctx context.Context, c *Conn, topic string) (*Subscription, error) {
	s := &Subscription{c: c, topic: topic}
	c.mu.Lock()
	w := c.wanted[topic]
	if w == nil {
		w = &wanted{}
		c.wanted[topic] = w
	}
	w.by++
	c.mu.Unlock()
	x, err := c.newCall("", "subscribe", topicInput{topic}, nil)
	if err == nil {
		_, err = c.await(ctx, x)
	}
	if err != nil {
		e, _ := errors.AsType[*Error](err)
		s.end(e != nil && e.OutcomeUnknown) // the server may have done it
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.made = true
	if x.run != c.run { // that connection is lost by now, and the next did not know
		c.sendAside("subscribe", topic)
	}
	return s, nil
}

// wanted is a topic to which a connection is subscribed.
type wanted struct {
	by   int  // subscriptions
	made bool // the server has agreed once; else the call that asks does all there is to do
}

// Stop ends the subscription, and waits for nothing. Stop twice is once.
func (s *Subscription) Stop() { s.end(true) }

// end is Stop that tells the server, or does not.
func (s *Subscription) end(tell bool) {
	if s.stopped.Swap(true) {
		return
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wanted[s.topic]
	if w.by--; w.by > 0 {
		return
	}
	delete(c.wanted, s.topic)
	if tell {
		c.sendAside("unsubscribe", s.topic)
	}
}

// subscribeAgain makes the subscriptions on a connection that is ready now;
// c.mu is held.
func (c *Conn) subscribeAgain() {
	for topic, w := range c.wanted {
		if w.made {
			c.sendAside("subscribe", topic)
		}
	}
}

// sendAside makes a call for whose end nobody waits, if there is a connection
// that is ready; its error is told to OnError. c.mu is held.
func (c *Conn) sendAside(action, topic string) {
	r := c.run
	if r == nil || !r.ready || r.ended || r.away != nil {
		return // the next connection knows what is wanted
	}
	x, err := c.newCall("", action, topicInput{topic}, nil)
	if err != nil {
		c.tell(listenError, err)
		return
	}
	x.aside = true
	c.queue = append(c.queue, x)
	c.flush()
}

// dropAside takes calls of a lost connection that nobody waits for out of the
// queue; c.mu is held.
func (c *Conn) dropAside() {
	c.queue = slices.DeleteFunc(c.queue, func(x *call) bool { return x.aside })
}
