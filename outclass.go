package kanava

import (
	"slices"

	"github.com/kanava-go/kanava/internal/form"
)

// This file is what an outbox does with events by their delivery class
// (docs/protocol.md D11). An event is queued once and dropped once at most, so
// a client that takes nothing costs its publishers no more than one that does.
// It is called with outbox.mu held, except where it takes it.

// outClasses is what an outbox knows of events that may be dropped.
type outClasses struct {
	volatile outList
	loose    int         // bytes of volatile
	loaded   []*outTopic // the Recoverable ones of which events wait
	behind   []*outTopic // those to be told where they stand
	dropped  Dropped
	told     Dropped // what of dropped the observer knows
}

// outTopic is a Latest or Recoverable subscription as an outbox sees it.
type outTopic struct {
	sub *subscription

	newest map[string]slot // of Latest: what waits of each key
	most   int             // entries that newest has had

	events outList       // of Recoverable, as is all that follows
	bytes  int           // of events
	index  int           // in loaded
	behind bool          // no event is queued until the client was told where the topic stands
	at     form.Position // of the last event that was not queued
}

func (o *outbox) class() *outClasses {
	if o.classes == nil {
		o.classes = new(outClasses)
	}
	return o.classes
}

func (o *outbox) topic(sub *subscription) *outTopic {
	if sub.out == nil {
		sub.out = &outTopic{sub: sub}
	}
	return sub.out
}

// firm is the bytes of what is not dropped to make room for a reply: all but
// Volatile events.
func (o *outbox) firm() int {
	if o.classes == nil {
		return o.bytes()
	}
	return o.bytes() - o.classes.loose
}

// isBehind reports whether there is a topic of which the client is still to be
// told where it stands: not of one whose connection ends.
func (o *outbox) isBehind() bool {
	return o.closing == nil && o.classes != nil && len(o.classes.behind) > 0
}

// makeRoom drops what may be dropped until an item of this size fits. It
// reports false if nothing is left to be dropped. Where own is not nil the item
// is an event of that topic, which can become behind too.
func (o *outbox) makeRoom(size, limit int, own *outTopic) bool {
	for o.bytes() > 0 && o.bytes()+size > limit {
		k := o.classes
		if k == nil {
			return false
		}
		if !k.volatile.empty() {
			o.pull(k.volatile.first)
			k.dropped.Volatile++
			continue
		}
		t := k.fullest(own, size)
		if t == nil {
			return false
		}
		o.leaveBehind(t)
		if t == own {
			return false
		}
	}
	return true
}

// fullest returns the Recoverable topic with the most bytes, those of an event
// to come included. It looks at each topic, but not at each event, and once a
// topic is behind it stays so until the transport has taken something.
func (k *outClasses) fullest(own *outTopic, more int) (most *outTopic) {
	most, bytes := own, more
	if own != nil {
		bytes += own.bytes
	}
	for _, t := range k.loaded {
		if t != own && (most == nil || t.bytes > bytes) {
			most, bytes = t, t.bytes
		}
	}
	return most
}

// leaveBehind drops what waits of a topic.
func (o *outbox) leaveBehind(t *outTopic) {
	if last := t.events.last; last != 0 {
		t.at = o.waiting.at(last).ev.at
	}
	k := o.classes
	for !t.events.empty() {
		o.pull(t.events.first)
		k.dropped.Recoverable++
	}
	t.behind = true
	k.behind = append(k.behind, t)
	k.dropped.Behind++
	o.tellRoom()
}

// catchUp tells the client where the topics that are behind stand, as long as
// no more than limit waits: it asks for what it has missed, and what follows is
// queued again. The transport is awake.
func (o *outbox) catchUp(limit int) {
	k, n := o.classes, 0
	for n < len(k.behind) && o.bytes() <= limit {
		t := k.behind[n]
		n++
		t.behind = false
		if !t.sub.ended.isSet() {
			o.push(&outItem{frame: Frame{Data: form.AppendAt(nil, t.sub.topic, t.at)}, sub: t.sub}, true)
		}
	}
	k.behind = slices.Delete(k.behind, 0, n)
}

// addEvent adds an event of another class than Ordered. It reports false if it
// does not fit and nothing is left to be dropped for it.
func (o *outbox) addEvent(it *outItem, limit int) (fits bool) {
	switch it.class {
	case volatile:
		o.addVolatile(it, limit)
		return true
	case latest:
		return o.addLatest(it, limit)
	default:
		o.addRecoverable(it, limit)
		return true
	}
}

// addVolatile drops the oldest events of the class for the new one, or that
// where it would not help.
func (o *outbox) addVolatile(it *outItem, limit int) {
	k := o.class()
	if firm := o.firm(); firm > 0 && firm+it.size() > limit {
		k.dropped.Volatile++
		return
	}
	o.makeRoom(it.size(), limit, nil)
	p := o.push(it, true)
	o.waiting.insert(inClass, &k.volatile, p, 0)
	k.loose += it.size()
}

// addLatest puts an event in the place of the older one of its key.
func (o *outbox) addLatest(it *outItem, limit int) (fits bool) {
	t := o.topic(it.sub)
	old := t.newest[it.ev.key]
	if old == 0 {
		fits = o.makeRoom(it.size(), limit, nil)
	} else {
		fits = o.replaceable(old, it.size(), limit)
	}
	switch {
	case !fits:
	case old != 0:
		w := o.waiting
		w.bytes += it.size() - w.at(old).size()
		w.at(old).outItem = *it
		o.class().dropped.Latest++
	default:
		if t.newest == nil {
			t.newest = make(map[string]slot)
		}
		t.newest[it.ev.key] = o.push(it, true)
		t.most = max(t.most, len(t.newest))
	}
	return fits
}

// replaceable makes room for an item that comes in the place of another.
func (o *outbox) replaceable(old slot, size, limit int) (fits bool) {
	w := o.waiting
	was := w.at(old).size()
	w.bytes -= was
	fits = o.makeRoom(size, limit, nil)
	w.bytes += was
	return fits
}

// addRecoverable adds an event, unless its topic is behind or becomes so.
func (o *outbox) addRecoverable(it *outItem, limit int) {
	t, k := o.topic(it.sub), o.class()
	if !t.behind {
		o.makeRoom(it.size(), limit, t)
	}
	if t.behind {
		t.at = it.ev.at
		k.dropped.Recoverable++
		return
	}
	p := o.push(it, true)
	if t.events.empty() {
		t.index = len(k.loaded)
		k.loaded = append(k.loaded, t)
	}
	o.waiting.insert(inClass, &t.events, p, 0)
	t.bytes += it.size()
}

// standsAt takes where a topic stands for which that is the only way to go on,
// and reports whether the client is told later: the topic is behind.
func (o *outbox) standsAt(sub *subscription, at form.Position) (later bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if sub.out == nil || !sub.out.behind {
		return false
	}
	sub.out.at = at
	return true
}

// forgetEvent is called before the event at p leaves the queue.
func (o *outbox) forgetEvent(it *outItem, p slot) {
	k := o.classes
	switch it.class {
	case volatile:
		o.waiting.unlink(inClass, &k.volatile, p)
		k.loose -= it.size()
	case latest:
		t := o.topic(it.sub)
		if delete(t.newest, it.ev.key); len(t.newest) == 0 && t.most > kept {
			t.newest, t.most = nil, 0 // its memory
		}
	default:
		t := o.topic(it.sub)
		o.waiting.unlink(inClass, &t.events, p)
		if t.bytes -= it.size(); t.events.empty() {
			last := len(k.loaded) - 1
			k.loaded[t.index] = k.loaded[last]
			k.loaded[t.index].index = t.index
			k.loaded[last] = nil
			k.loaded = k.loaded[:last]
		}
	}
}
