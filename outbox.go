package kanava

import (
	"context"
	"sync"
)

// outbox holds what waits to be written to one connection: bounded, in order,
// emptied by the transport. Nobody but Stream.Send ever waits for it.
type outbox struct {
	wake func() // the transport's Peer.Wake; called with mu held

	mu      sync.Mutex
	items   fifo[outItem] // guarded by mu
	bytes   int           // guarded by mu: of items
	awake   bool          // guarded by mu: the transport knows that there is something
	holding bool          // guarded by mu: until OnConnect is over, as what it returns goes first
	held    fifo[outItem] // guarded by mu: what waits for that
	closing *Closing      // guarded by mu: comes after the last item; nothing is added
	room    chan struct{} // guarded by mu: closed when there is room; nil while nobody waits
}

// outItem is a frame, or an event that outgoing middleware has yet to see.
type outItem struct {
	frame Frame
	ev    *event
	sub   *subscription // of events: once it has ended they are not sent
}

// itemCost is what an item counts besides its bytes: an empty one is not free.
const itemCost = 64

func (it *outItem) size() int {
	if it.ev != nil {
		return itemCost + it.ev.size()
	}
	return itemCost + len(it.frame.Data)
}

// add appends an item. It reports closed if nothing is taken any more, and
// full if the item would pass limit; one item always fits into an empty box.
func (o *outbox) add(it outItem, limit int) (full, closed bool) { return o.put(it, limit, true) }

// addNow is add of an item that hold does not keep back.
func (o *outbox) addNow(it outItem, limit int) (full, closed bool) { return o.put(it, limit, false) }

func (o *outbox) put(it outItem, limit int, mayHold bool) (full, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closing != nil:
		return false, true
	case o.items.len()+o.held.len() > 0 && o.bytes+it.size() > limit:
		return true, false
	}
	if o.holding && mayHold {
		o.held.push(it)
		o.bytes += it.size()
	} else {
		o.push(it)
	}
	return false, false
}

// addFirst adds the item before all that hold keeps back, and sets the flag
// before anybody can have taken it.
func (o *outbox) addFirst(it outItem, taken *atomicFlag) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing == nil {
		o.push(it)
	}
	taken.set()
}

// hold keeps back what is added until release.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holding = true
}

// release ends hold: first, if it is not nil, goes out before what was held
// back, which is dropped if it is not wanted any more.
func (o *outbox) release(first *outItem, wanted bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first != nil && o.closing == nil {
		o.push(*first)
	}
	o.holding = false
	for o.held.len() > 0 {
		it := o.held.pop()
		o.bytes -= it.size()
		if wanted && o.closing == nil {
			o.push(it)
		}
	}
}

func (o *outbox) push(it outItem) {
	o.items.push(it)
	o.bytes += it.size()
	o.rouse()
}

func (o *outbox) rouse() {
	if !o.awake {
		o.awake = true
		o.wake()
	}
}

// addWhenRoom appends an item of a stream as soon as less than limit waits, or
// returns the error of ctx, or ErrClosed if the box or the stream has ended.
func (o *outbox) addWhenRoom(ctx context.Context, it outItem, limit int, s *streamEnd) error {
	for {
		o.mu.Lock()
		// Under the lock: nothing follows the frame that ends the stream.
		if o.closing != nil || s.ended.Load() || s.call.aborted.isSet() {
			o.mu.Unlock()
			return ErrClosed
		}
		if o.items.len() == 0 || o.bytes+it.size() <= limit {
			o.push(it)
			o.mu.Unlock()
			return nil
		}
		room := o.waitForRoom()
		o.mu.Unlock()
		select {
		case <-room:
		case <-s.call.Done():
			if !s.ended.Load() {
				return s.call.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hasRoom reports whether at most limit waits, or nothing, or the box is closed.
func (o *outbox) hasRoom(limit int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing != nil || o.bytes <= max(limit, 0)
}

// waitRoom returns when at most limit waits, or the box is closed.
func (o *outbox) waitRoom(limit int) {
	for {
		o.mu.Lock()
		if o.closing != nil || o.bytes <= limit {
			o.mu.Unlock()
			return
		}
		room := o.waitForRoom()
		o.mu.Unlock()
		<-room
	}
}

// waitForRoom returns a channel that is closed when something was taken; o.mu
// is held.
func (o *outbox) waitForRoom() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// take moves at most about maxBytes of items, at least one, to the end of
// batch. When nothing waits it returns what closes the connection, if
// anything, and the next item wakes the transport.
func (o *outbox) take(batch []outItem, maxBytes int) ([]outItem, *Closing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for o.items.len() > 0 {
		size := o.items.first().size()
		if n > 0 && n+size > maxBytes {
			break
		}
		n += size
		batch = append(batch, o.items.pop())
	}
	o.bytes -= n
	if n > 0 && o.room != nil {
		close(o.room)
		o.room = nil
	}
	if len(batch) == 0 {
		o.awake = false
		return batch, o.closing
	}
	return batch, nil
}

// close ends the box: nothing is added any more, and closing comes after what
// waits, or at once if that is discarded. Only the first call counts.
func (o *outbox) close(closing Closing, discard bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if discard {
		o.items, o.held, o.bytes = fifo[outItem]{}, fifo[outItem]{}, 0
	}
	if o.closing != nil {
		return
	}
	o.closing = &closing
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	o.rouse()
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing != nil
}

func (o *outbox) isEmpty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.items.len() == 0
}

// closingNow returns what closes the connection if nothing waits before it.
func (o *outbox) closingNow() *Closing {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.items.len() > 0 {
		return nil
	}
	return o.closing
}
