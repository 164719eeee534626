package kanava

import "iter"

// subscriptions are those of one connection, by their topic. Most connections
// have one, which costs no more than a pointer. The zero value is empty.
type subscriptions struct {
	one  *subscription              // while there is no map
	many map[hubTopic]*subscription // from the second on
}

func (s *subscriptions) len() int {
	if s.one != nil {
		return 1
	}
	return len(s.many)
}

// get returns the subscription to a topic, or nil.
func (s *subscriptions) get(at hubTopic) *subscription {
	if s.one != nil {
		if s.one.hubTopic == at {
			return s.one
		}
		return nil
	}
	return s.many[at]
}

// add keeps a subscription to a topic that there is none to.
func (s *subscriptions) add(sub *subscription) {
	switch {
	case s.one == nil && s.many == nil:
		s.one = sub
	case s.many == nil:
		s.many = map[hubTopic]*subscription{s.one.hubTopic: s.one, sub.hubTopic: sub}
		s.one = nil
	default:
		s.many[sub.hubTopic] = sub
	}
}

func (s *subscriptions) remove(sub *subscription) {
	if s.one == sub {
		s.one = nil
	}
	delete(s.many, sub.hubTopic)
	if len(s.many) == 0 {
		s.many = nil // its memory
	}
}

func (s *subscriptions) all() iter.Seq[*subscription] {
	return func(yield func(*subscription) bool) {
		if s.one != nil {
			yield(s.one)
			return
		}
		for _, sub := range s.many {
			if !yield(sub) {
				return
			}
		}
	}
}
