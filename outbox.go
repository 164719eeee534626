package kanava

import (
	"context"
	"sync"
)

// outbox holds what waits to be written to one connection: bounded, in order,
// emptied by the transport. Nobody but Stream.Send ever waits for it.
//
// Whoever makes it anything but empty wakes the transport, which then takes
// until it gets nothing. A topic that is behind counts for that: awake is set
// as long as there is one, unless all is held back.
type outbox struct {
	peer Peer // is woken with mu held

	mu      sync.Mutex
	waiting *outItems     // guarded by mu, as is all that follows: nil where nothing waits
	awake   bool          // the transport knows that there is something
	holding bool          // OnConnect is not over
	classes *outClasses   // nil until there is an event of another class than Ordered
	closing *Closing      // comes after the last item; nothing is added
	room    chan struct{} // closed when there is room; nil while nobody waits
}

// outItem is a frame, or an event of which take makes one.
type outItem struct {
	frame Frame
	ev    *event
	sub   *subscription // of events: once it has ended they are not sent
	class class         // of events: how they make room for others
	raw   bool          // a View, or outgoing middleware, has yet to see ev
	run   uint8         // how many events of ev.run this stands for, ev being the first; 0 for anything else. See eventRun
	move  *move         // where marks tell the client to stand; nil where ev says so, or nothing does

	runSize int32 // the size of those events
}

// itemCost is what an item counts besides its bytes: an empty one is not free.
const itemCost = 64

// weight is size, or what a turn comes to when it is taken.
func (it *outItem) weight() int {
	if it.ev == presenceTurn {
		return it.sub.watch.weight()
	}
	return it.size()
}

func (it *outItem) size() int {
	switch {
	case it.run > 0:
		return int(it.runSize)
	case it.raw:
		return itemCost + it.ev.size()
	}
	return itemCost + len(it.frame.Data)
}

// add appends an item. It reports closed if nothing is taken any more, and
// full if the item would pass limit and nothing can be dropped for it; one item
// always fits into an empty box.
func (o *outbox) add(it outItem, limit int) (full, closed bool) { return o.put(&it, limit, true) }

// addNow is add of an item that hold does not keep back.
func (o *outbox) addNow(it outItem, limit int) (full, closed bool) { return o.put(&it, limit, false) }

func (o *outbox) put(it *outItem, limit int, mayHold bool) (full, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closing != nil:
		return false, true
	case it.class != ordered:
		return !o.addEvent(it, limit), false
	case !o.makeRoom(it.size(), limit, nil):
		return true, false
	}
	o.push(it, mayHold)
	return false, false
}

// push adds an item at the end, or before all that is held back if it may not
// be.
func (o *outbox) push(it *outItem, mayHold bool) slot {
	if o.waiting == nil {
		o.waiting = borrowItems()
	}
	w := o.waiting
	p := w.add(it)
	w.bytes += it.size()
	switch {
	case !o.holding:
		w.insert(inQueue, &w.queue, p, 0)
		o.rouse()
	case mayHold:
		w.insert(inQueue, &w.queue, p, 0)
		if w.held == 0 {
			w.held = p
		}
	default:
		w.insert(inQueue, &w.queue, p, w.held)
		o.rouse()
	}
	return p
}

// pull takes an item out, wherever it stands.
func (o *outbox) pull(p slot) (it outItem) {
	w := o.waiting
	it = w.at(p).outItem
	if w.held == p {
		w.held = w.next(inQueue, p)
	}
	if it.class != ordered {
		o.forgetEvent(&it, p)
	}
	w.unlink(inQueue, &w.queue, p)
	w.remove(p)
	if w.bytes -= it.size(); w.used == 0 {
		o.waiting = nil
		w.giveBack()
	}
	return it
}

// first returns what is taken next; nowhere if there is nothing.
func (o *outbox) first() slot {
	w := o.waiting
	if w == nil || w.queue.first == w.held {
		return 0
	}
	return w.queue.first
}

// bytes is what waits, of all items.
func (o *outbox) bytes() int {
	if o.waiting == nil {
		return 0
	}
	return o.waiting.bytes
}

// heldBack returns the first item that hold keeps back; nowhere if there is none.
func (o *outbox) heldBack() slot {
	if o.waiting == nil {
		return 0
	}
	return o.waiting.held
}

func (o *outbox) rouse() {
	if !o.awake {
		o.awake = true
		o.peer.Wake()
	}
}

// addFirst adds the item before all that hold keeps back, and sets the flag
// before anybody can have taken it.
func (o *outbox) addFirst(it outItem, taken *atomicFlag) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing == nil {
		o.push(&it, false)
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
		o.push(first, false)
	}
	o.holding = false
	for o.heldBack() != 0 && (!wanted || o.closing != nil) {
		o.pull(o.heldBack())
		o.tellRoom()
	}
	if o.waiting != nil {
		o.waiting.held = 0
	}
	if o.first() != 0 || o.isBehind() {
		o.rouse()
	}
}

// addWhenRoom appends an item of a stream as soon as less than half of limit
// waits, or returns the error of ctx, or ErrClosed if the box or the stream has
// ended.
func (o *outbox) addWhenRoom(ctx context.Context, it outItem, limit int, s *streamEnd) error {
	for {
		o.mu.Lock()
		// Under the lock: nothing follows the frame that ends the stream.
		if o.closing != nil || s.ended.Load() || s.call.aborted.isSet() {
			o.mu.Unlock()
			return ErrClosed
		}
		if firm := o.firm(); firm == 0 || firm+it.size() <= limit/2 {
			o.makeRoom(it.size(), limit, nil)
			o.push(&it, false)
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
	return o.closing != nil || o.firm() <= max(limit, 0)
}

// waitRoom returns when at most limit waits, or the box is closed.
func (o *outbox) waitRoom(limit int) {
	for {
		o.mu.Lock()
		if o.closing != nil || o.firm() <= limit {
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

// tellRoom ends the waiting for room; o.mu is held.
func (o *outbox) tellRoom() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// take moves at most about maxBytes of items, at least one, to batch, which is
// made if there is something and it is nil. When nothing waits it returns what
// closes the connection, if anything, and the next item wakes the transport.
// Topics that are behind go on when no more than half of limit waits. It reports
// whether there is news.
func (o *outbox) take(batch *[]outItem, maxBytes, limit int) (_ *[]outItem, closing *Closing, news bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if batch != nil {
		*batch = (*batch)[:0]
	} else if o.first() != 0 || o.isBehind() {
		batch = takePool.Get().(*[]outItem)
		*batch = (*batch)[:0]
	}
	n := 0
	if batch != nil {
		*batch, n = o.pop(*batch, maxBytes)
		if o.isBehind() {
			o.catchUp(limit / 2)
			if n == 0 {
				*batch, n = o.pop(*batch, maxBytes)
			}
		}
	}
	news = o.classes != nil && o.classes.dropped != o.classes.told
	if n == 0 {
		o.awake = false
		return batch, o.closing, news
	}
	o.tellRoom()
	return batch, nil, news
}

func (o *outbox) pop(batch []outItem, maxBytes int) (_ []outItem, n int) {
	weight := 0
	for p := o.first(); p != 0; p = o.first() {
		it := o.waiting.at(p)
		weight += it.weight()
		if n > 0 && weight > maxBytes {
			break
		}
		n += it.size()
		batch = append(batch, o.pull(p))
	}
	return batch, n
}

// close ends the box: nothing is added any more, and closing comes after what
// waits, or at once if that is discarded. Only the first call counts.
func (o *outbox) close(closing Closing, discard bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if discard {
		o.discard()
	}
	if o.closing != nil {
		return
	}
	o.closing = &closing
	o.tellRoom()
	o.rouse()
}

// discard drops all that waits; nothing is added any more.
func (o *outbox) discard() {
	o.waiting = nil
	if k := o.classes; k != nil {
		o.classes = &outClasses{dropped: k.dropped, told: k.told}
	}
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing != nil
}

func (o *outbox) isEmpty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first() == 0
}

// closingNow returns what closes the connection if nothing waits before it.
func (o *outbox) closingNow() *Closing {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first() != 0 {
		return nil
	}
	return o.closing
}
