package kanava

import "iter"

// connSlots are the connections of one channel. Each keeps its slot for as long
// as it lives, so that they can be gone through a few at a time while others
// come and go. Guarded by core.mu.
type connSlots struct {
	list []*conn // nil where a slot is free
	free []int32 // the free ones
}

func (s *connSlots) count() int { return len(s.list) - len(s.free) }

func (s *connSlots) add(c *conn) {
	if n := len(s.free); n > 0 {
		c.slot, s.free = s.free[n-1], s.free[:n-1]
		s.list[c.slot] = c
		return
	}
	c.slot = int32(len(s.list))
	s.list = append(s.list, c)
}

// remove reports whether the connection was there.
func (s *connSlots) remove(c *conn) bool {
	if s.at(uint32(c.slot)) != c {
		return false
	}
	s.list[c.slot] = nil
	s.free = append(s.free, c.slot)
	if s.count() == 0 {
		s.list, s.free = nil, nil // their memory
	}
	return true
}

// at returns the connection with this slot, nil if there is none.
func (s *connSlots) at(slot uint32) *conn {
	if int64(slot) >= int64(len(s.list)) {
		return nil
	}
	return s.list[slot]
}

// find returns the connection with this id, nil if there is none.
func (s *core) find(id string) *conn {
	at, ok := placeOf(id)
	if !ok {
		return nil
	}
	if c := s.visitors.find(id); c != nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(at.channel) >= len(s.slots) {
		return nil
	}
	if c := s.slots[at.channel].at(at.slot); c != nil && c.id.is(id) {
		return c
	}
	return nil
}

// few fills into with connections from a slot on, and returns how many they are
// and the slot to go on from.
func (s *connSlots) few(from int, into []*conn) (n, next int) {
	for next = from; next < len(s.list) && n < len(into); next++ {
		if c := s.list[next]; c != nil {
			into[n] = c
			n++
		}
	}
	return n, next
}

// each goes through the connections of a channel. Who is connected all the time
// is met once; no lock is held meanwhile.
func (s *core) each(def *channelDef) iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		var some [64]*conn
		for from := 0; ; {
			s.mu.Lock()
			var n int
			n, from = s.slots[def.index].few(from, some[:])
			s.mu.Unlock()
			if n == 0 {
				return
			}
			for _, c := range some[:n] {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// all goes through the connections of all channels, as each does.
func (s *core) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		s.wiringMu.RLock()
		defs := s.defs
		s.wiringMu.RUnlock()
		for _, def := range defs {
			for c := range s.each(def) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// live leaves out those that are closed or about to be.
func live(conns iter.Seq[*conn]) iter.Seq[Conn] {
	return func(yield func(Conn) bool) {
		for c := range conns {
			if c.isLive() && !yield(c.ch) {
				return
			}
		}
	}
}
