package kanava

import "slices"

// This file is what an outbox should be: a slice of items and the sentences of
// docs/protocol.md D11, followed word by word.

// offer is an item as the oracle sees it.
type offer struct {
	name  string
	size  int
	class class     // Ordered also for what is no event
	topic *boxTopic // of events of other classes, and of at
	key   string    // of Latest
	o     uint64    // of Recoverable, and of at
	at    bool
	held  bool
}

// boxTopic is a subscription, and what its client knows.
type boxTopic struct {
	sub    *subscription
	o      uint64 // of the last event that was offered
	told   uint64 // where the client knows that the topic stands
	behind bool
	newest map[string]string // the last event of each key that was offered; taken ones end with "!"
}

type boxOracle struct {
	items   []offer
	limit   int
	holding bool
	behind  []*boxTopic
	closed  bool
	chosen  func(*boxTopic) int // orders topics of equal size as the box has taken them
	falls   uint64              // how often a topic came to be behind
	drops   [4]uint64           // events that nobody gets, by class
}

func (b *boxOracle) bytes(of func(offer) bool) (n int) {
	for _, it := range b.items {
		if of(it) {
			n += it.size
		}
	}
	return n
}

func anyItem(offer) bool        { return true }
func isVolatile(it offer) bool  { return it.class == volatile }
func notVolatile(it offer) bool { return it.class != volatile }

// makeRoom drops the oldest Volatile, then the Recoverable topic with most
// bytes. It reports false when nothing is left to drop.
func (b *boxOracle) makeRoom(it offer) bool {
	for b.bytes(anyItem) > 0 && b.bytes(anyItem)+it.size > b.limit {
		if i := slices.IndexFunc(b.items, isVolatile); i >= 0 {
			b.items = slices.Delete(b.items, i, i+1)
			b.drops[volatile]++
			continue
		}
		bytes := make(map[*boxTopic]int)
		if it.class == recoverable {
			bytes[it.topic] = it.size
		}
		most := it.size
		if it.class != recoverable {
			most = 0
		}
		for _, x := range b.items {
			if x.class == recoverable {
				bytes[x.topic] += x.size
				most = max(most, bytes[x.topic])
			}
		}
		var topic *boxTopic
		for t, n := range bytes {
			if n == most && (topic == nil || b.chosen(t) < b.chosen(topic)) {
				topic = t
			}
		}
		if topic == nil {
			return false
		}
		b.items = slices.DeleteFunc(b.items, func(x offer) bool {
			gone := x.class == recoverable && x.topic == topic
			if gone {
				b.drops[recoverable]++
			}
			return gone
		})
		topic.behind = true
		b.falls++
		b.behind = append(b.behind, topic)
		if topic == it.topic {
			return false
		}
	}
	return true
}

// add takes an item, and reports whether the connection goes on.
func (b *boxOracle) add(it offer, mayHold bool) bool {
	switch it.class {
	case volatile:
		it.topic.o++
		if firm := b.bytes(notVolatile); firm > 0 && firm+it.size > b.limit {
			b.drops[volatile]++
			return true
		}
		b.makeRoom(it)
	case latest:
		it.topic.newest[it.key] = it.name
		same := func(x offer) bool { return x.class == latest && x.topic == it.topic && x.key == it.key }
		if i := slices.IndexFunc(b.items, same); i >= 0 {
			b.items[i].size = 0
			if !b.makeRoom(it) {
				return false
			}
			i = slices.IndexFunc(b.items, same)
			it.held = b.items[i].held
			b.items[i] = it
			b.drops[latest]++
			return true
		}
		if !b.makeRoom(it) {
			return false
		}
	case recoverable:
		it.topic.o = it.o
		if !it.topic.behind {
			b.makeRoom(it)
		}
		if it.topic.behind {
			b.drops[recoverable]++
			return true
		}
	default:
		if !b.makeRoom(it) {
			return false
		}
	}
	b.push(it, mayHold)
	return true
}

func (b *boxOracle) push(it offer, mayHold bool) {
	it.held = b.holding && mayHold
	i := len(b.items)
	if first := slices.IndexFunc(b.items, func(x offer) bool { return x.held }); first >= 0 && !it.held {
		i = first
	}
	b.items = slices.Insert(b.items, i, it)
}

func (b *boxOracle) release(wanted bool) {
	b.holding = false
	if !wanted || b.closed {
		b.items = slices.DeleteFunc(b.items, func(x offer) bool { return x.held })
	}
	for i := range b.items {
		b.items[i].held = false
	}
}

func (b *boxOracle) take(most int) (out []offer) {
	pop := func() {
		for n := 0; len(b.items) > 0 && !b.items[0].held && (n == 0 || n+b.items[0].size <= most); b.items = b.items[1:] {
			n += b.items[0].size
			out = append(out, b.items[0])
		}
	}
	pop()
	for len(b.behind) > 0 && !b.closed && b.bytes(anyItem) <= b.limit/2 {
		t := b.behind[0]
		b.behind, t.behind = b.behind[1:], false
		if !t.sub.ended.isSet() {
			b.push(offer{at: true, topic: t, o: t.o, size: atSize(t)}, true)
		}
	}
	if len(out) == 0 {
		pop()
	}
	return out
}
