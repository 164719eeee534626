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
	items := takePool.Get().(*[]outItem)
	defer func() {
		clear(*items)
		takePool.Put(items)
	}()
	for {
		var closing *Closing
		*items, closing = c.out.take((*items)[:0], maxBytes)
		if len(*items) == 0 {
			if closing != nil && c.announceClose(closing) {
				return append(batch, awayFrame(closing)), nil
			}
			return batch, closing
		}
		for i := range *items {
			it := &(*items)[i]
			if it.sub != nil && it.sub.ended.isSet() {
				continue
			}
			if it.ev == nil {
				batch = append(batch, it.frame)
			} else if f, ok := c.filter(it.ev); ok {
				batch = append(batch, f)
			} else if f, ok := it.ev.hidden(c.form); ok {
				batch = append(batch, f)
			}
		}
		if len(batch) > start {
			return batch, nil
		}
	}
}

func (c *conn) announceClose(end *Closing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.announce(end)
}

// filter runs the outgoing middleware on an event. One that fails is dropped
// and logged.
func (c *conn) filter(ev *event) (f Frame, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			c.core.logger.Error("outgoing middleware panicked", "conn", c.id, "topic", ev.topic, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	value, ok, err := c.outgoing(&c.life, Payload{Kind: KindEvent, Topic: ev.topic, Value: ev.value})
	if ok {
		f, err = c.eventFrame(ev, value)
	}
	if err != nil {
		c.core.logger.Error("outgoing middleware failed", "conn", c.id, "topic", ev.topic, "error", err)
		return f, false
	}
	return f, ok
}

// eventFrame encodes the event with what middleware made of its value.
func (c *conn) eventFrame(ev *event, value any) (Frame, error) {
	if sameValue(ev.value, value) {
		return ev.frame(c.form), nil
	}
	own := &event{topic: ev.topic, key: ev.key, at: ev.at}
	if err := own.encode(value, nil); err != nil {
		return Frame{}, err
	}
	f := own.frame(c.form)
	return f, c.fits(f)
}

// sameValue reports whether middleware left the value alone. It may say no
// where it has: the event is encoded again then.
func sameValue(a, b any) bool {
	return a != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}
