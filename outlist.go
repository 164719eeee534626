package kanava

import "sync"

// This file is the memory of an outbox: items in lists from which any one can
// be taken without a look at the others.

// slot is where an item lies; 0 is nowhere.
type slot int32

// outList is items in order. The zero value is empty.
type outList struct{ first, last slot }

func (l *outList) empty() bool { return l.first == 0 }

// listKind says which list. An item is in one of each kind at most.
type listKind uint8

const (
	inQueue   listKind = iota // all that waits, in the order in which it goes out
	inClass                   // events that are dropped together, or one after the other
	listKinds                 // their number
)

// outNode is an item with its neighbours in the lists that it is in.
type outNode struct {
	outItem
	links [listKinds]struct{ prev, next slot }
}

// outItems is all that waits in an outbox. One that is empty has none: it is
// borrowed from those who have had something.
type outItems struct {
	outNodes
	queue outList // all of the items
	held  slot    // the first of those that are not taken before OnConnect is over, as what it returns goes first
	bytes int     // of all items
	few   fewNodes
}

var itemsPool = sync.Pool{New: func() any { return new(outItems) }}

func borrowItems() *outItems {
	w := itemsPool.Get().(*outItems)
	w.all = w.few[:0]
	return w
}

// giveBack ends the use of w, which is empty.
func (w *outItems) giveBack() { itemsPool.Put(w) }

// outNodes holds the items.
type outNodes struct {
	all  []outNode
	used int32
	free slot // the first of those that can be used again; next in inQueue is the next
}

// at returns the item at p. It stays there until remove, but the pointer is
// good only until the next add.
func (n *outNodes) at(p slot) *outNode { return &n.all[p-1] }

// next returns what follows p in its list.
func (n *outNodes) next(k listKind, p slot) slot { return n.at(p).links[k].next }

// add keeps an item. It is in no list yet.
func (n *outNodes) add(it *outItem) slot {
	n.used++
	p := n.free
	if p == 0 {
		if len(n.all) == cap(n.all) {
			n.grow()
		}
		n.all = append(n.all, outNode{outItem: *it})
		return slot(len(n.all))
	}
	n.free = n.next(inQueue, p)
	*n.at(p) = outNode{outItem: *it}
	return p
}

// remove forgets an item that is in no list any more.
func (n *outNodes) remove(p slot) {
	*n.at(p) = outNode{}
	n.used--
	if n.used > 0 {
		n.at(p).links[inQueue].next, n.free = n.free, p
		return
	}
	giveBackNodes(n.all)
	*n = outNodes{}
}

// The memory of nodes comes in these sizes, the smallest with the outItems; what
// is more than the largest is left to the garbage collector.
type (
	fewNodes  = [4]outNode
	someNodes = [32]outNode
	manyNodes = [256]outNode
)

var (
	somePool = sync.Pool{New: func() any { return new(someNodes) }}
	manyPool = sync.Pool{New: func() any { return new(manyNodes) }}
)

// grow makes room for more nodes.
func (n *outNodes) grow() {
	was := n.all
	switch size := cap(was); {
	case size < len(someNodes{}):
		n.all = somePool.Get().(*someNodes)[:0]
	case size < len(manyNodes{}):
		n.all = manyPool.Get().(*manyNodes)[:0]
	default:
		n.all = make([]outNode, 0, 2*size)
	}
	n.all = append(n.all, was...)
	clear(was)
	giveBackNodes(was)
}

// giveBackNodes ends the use of nodes, which are zero.
func giveBackNodes(all []outNode) {
	switch cap(all) {
	case len(someNodes{}):
		somePool.Put((*someNodes)(all[:cap(all)]))
	case len(manyNodes{}):
		manyPool.Put((*manyNodes)(all[:cap(all)]))
	}
}

// insert puts the item into the list before another, or at its end if that is
// nowhere.
func (n *outNodes) insert(k listKind, l *outList, p, before slot) {
	after := l.last
	if before != 0 {
		after = n.at(before).links[k].prev
		n.at(before).links[k].prev = p
	} else {
		l.last = p
	}
	if after != 0 {
		n.at(after).links[k].next = p
	} else {
		l.first = p
	}
	n.at(p).links[k].prev, n.at(p).links[k].next = after, before
}

// unlink takes the item out of the list.
func (n *outNodes) unlink(k listKind, l *outList, p slot) {
	link := &n.at(p).links[k]
	if link.prev != 0 {
		n.at(link.prev).links[k].next = link.next
	} else {
		l.first = link.next
	}
	if link.next != 0 {
		n.at(link.next).links[k].prev = link.prev
	} else {
		l.last = link.prev
	}
	link.prev, link.next = 0, 0
}
