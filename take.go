package kanava

import (
	"reflect"
	"runtime/debug"
	"sync"
)

// This file is where the transport takes frames, and where events meet the
// outgoing middleware.

var takePool = sync.Pool{New: func() any { return new([]outItem) }}

// take implements Link.Take.
func (c *conn) take(batch []Frame, maxBytes int) ([]Frame, *Closing) {
	start := len(batch)
	var items *[]outItem
	defer func() {
		if items != nil {
			clear(*items)
			takePool.Put(items)
		}
	}()
	for {
		var closing *Closing
		var news bool
		if items, closing, news = c.out.take(items, maxBytes, c.queueLimit()); news {
			c.tellDropped(c.out.news())
		}
		if items == nil || len(*items) == 0 {
			if closing != nil && c.announceClose(closing) {
				return append(batch, awayFrame(closing)), nil
			}
			return batch, closing
		}
		for i := range *items {
			it := &(*items)[i]
			if it.ev == presenceTurn {
				batch = it.sub.watch.tell(batch)
				continue
			}
			if it.sub != nil && it.sub.ended.isSet() {
				continue
			}
			if it.run > 0 {
				batch = c.appendRun(batch, it)
				continue
			}
			f, ok := c.frameOf(it)
			if c.rare().marks != nil {
				ok = c.rare().marks.mark(&f, it, ok)
			}
			if ok {
				batch = append(batch, f)
			}
		}
		if len(batch) > start {
			return batch, nil
		}
	}
}

// frameOf returns the frame of an item, if a View and outgoing middleware leave
// one.
func (c *conn) frameOf(it *outItem) (f Frame, ok bool) {
	if !it.raw {
		return it.frame, true
	}
	if ev, ok := c.see(it.ev); ok {
		return ev.frame(c.form), true
	}
	return it.ev.hidden(c.form)
}

func (c *conn) announceClose(end *Closing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.announce(end)
}

// filter runs the outgoing middleware on an event, and returns what it made of
// it. One that fails is dropped and logged.
func (c *conn) filter(ev *event) (seen *event, ok bool) {
	ok = c.filterInto(Payload{Kind: KindEvent, Topic: ev.topic, Value: ev.payload()}, func(value any) (err error) {
		seen, err = c.withValue(ev, value)
		return err
	})
	return seen, ok
}

// filterInto runs the outgoing middleware on a payload, and use on what it made
// of it. It reports false if the payload is dropped, or one of them fails.
func (c *conn) filterInto(p Payload, use func(value any) error) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
			c.core.logger.Error("outgoing middleware panicked", "conn", c.id.String(), "topic", p.Topic, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	value, ok, err := c.outgoing(c.context(), p)
	if ok {
		err = use(value)
	}
	if err != nil {
		c.core.logger.Error("outgoing middleware failed", "conn", c.id.String(), "topic", p.Topic, "error", err)
		return false
	}
	return ok
}

// withValue returns the event with what middleware made of its value.
func (c *conn) withValue(ev *event, value any) (*event, error) {
	if sameValue(ev.payload(), value) {
		return ev, nil
	}
	own := &event{topic: ev.topic, key: ev.key, at: ev.at, prev: ev.prev}
	if err := own.encode(value, nil); err != nil {
		return nil, err
	}
	return own, c.fits(own.frame(c.form))
}

// sameValue reports whether middleware left the value alone. It may say no
// where it has: the event is encoded again then.
func sameValue(a, b any) bool {
	return a != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}
