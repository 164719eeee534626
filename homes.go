package kanava

import (
	"slices"
	"sync"
)

// homes are the servers whose connections can be named in [EventHub.Subscribe].
type homes struct {
	mu   sync.Mutex
	list []*core // guarded by mu
}

func (s *homes) add(home *core) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, home)
}

// all returns the servers.
func (s *homes) all() []*core {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *homes) remove(home *core) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(other *core) bool { return other == home })
}

// find returns the connection with this id, nil if there is none, or none any
// more.
func (s *homes) find(id string) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, home := range s.list {
		if c := home.find(id); c != nil && !c.isOver() {
			return c
		}
	}
	return nil
}

// sinkOf finds a subscriber, a connection or not; nil if there is none.
func (h *EventHub) sinkOf(id string) sink {
	if s, ok := h.sinks.Load(id); ok {
		return s.(sink)
	}
	if c := h.homes.find(id); c != nil {
		return c
	}
	return nil
}
