package poll

import "time"

// This file sees to it that a handler that takes long holds up no other.

const (
	// watchTime is how often the guards of the loops are looked at: a handler
	// that is met again loses its loop.
	watchTime = 150 * time.Microsecond
	// watchLong is for how many such times nothing may happen before the watch
	// ends.
	watchLong = 50
)

// busy is the bit of loop.guard that is set between Enter and Leave. The others
// count, so that each time has a number of its own.
const busy = 1

// watch starts the goroutine that watches the loops, if none does. It ends by
// itself when nothing has happened for a while.
func (s *set) watch() {
	if !s.watched.CompareAndSwap(false, true) {
		return
	}
	go func() {
		seen := make([]sight, len(s.loops))
		for quiet := 0; quiet < watchLong; quiet++ {
			began := time.Now()
			time.Sleep(watchTime)
			if s.look(seen, time.Since(began) > 4*watchTime) {
				quiet = 0
			}
		}
		// Who enters looks at watched after that; who has entered before is seen.
		s.watched.Store(false)
		for i := range s.loops {
			if s.loops[i].guard.Load()&busy != 0 {
				s.watch()
				return
			}
		}
	}()
}

// sight is what the watch has seen of a loop.
type sight struct {
	guard uint64
	again int // how many times it was the same since
}

// look takes the loops away from handlers that hold them for too long, and
// reports whether anything has happened. If it comes late, the whole process may
// have had to wait, and not the handler have taken long: then once more counts.
func (s *set) look(seen []sight, late bool) (news bool) {
	for i := range s.loops {
		l, x := &s.loops[i], &seen[i]
		g := l.guard.Load()
		if g != x.guard {
			*x, news = sight{guard: g}, true
			continue
		}
		if g&busy == 0 {
			continue
		}
		news = true
		if x.again++; x.again > 1 || !late {
			l.takeOver(g)
		}
	}
	return news
}

// takeOver gives the loop to a fresh goroutine, unless the handler for which
// the guard was g has just come back.
func (l *loop) takeOver(g uint64) {
	if l.guard.CompareAndSwap(g, g+busy) {
		l.seq = g + busy
		go l.run()
	}
}

// handOn gives the loop of a goroutine that ends to a fresh one, if it still
// has it.
func (l *loop) handOn(t *Turn) {
	switch g := l.guard.Load(); g {
	case t.mine: // it has not come to Leave
		l.takeOver(g)
	case t.mine &^ busy:
		go l.run()
	}
}
