package kanava

import (
	"fmt"
	"time"
)

// Private keeps what a [Recoverable] topic had before a user was subscribed from
// that user: who is subscribed for the first time gets what follows, and after a
// lost connection what was missed, but nothing from before. Unsubscribing ends
// that: what follows the next subscription is all there is then. Where nobody
// has signed in, or users have no ids, each connection is a user of its own.
// NewTopic panics if the topic is not Recoverable.
func Private() TopicOption { return func(f *family) { f.private = true } }

func (f *family) checkPrivate() {
	if f.private && f.class != recoverable {
		panic(fmt.Sprintf("kanava: topic %q at %s: Private is for Recoverable topics: a topic of the class %s has no history", f.name, f.where, f.class))
	}
}

// floor is where a user was subscribed to a Private topic: nothing from before
// is recovered (docs/protocol.md D10).
type floor struct {
	user string // "" stands for one connection
	from uint64
	subs int       // of the user
	left time.Time // when the last of them ended
}

// floorCost is what a floor costs.
const floorCost = 256

// floors are those of a topic's users, kept for the topic's ttl after the last
// connection was lost. The topic's mu guards them.
type floors struct {
	ttl    time.Duration
	byUser map[string]*floor
}

// join returns the floor of a user whose topic stands at an offset. It returns
// how many bytes more are kept.
func (s *floors) join(user string, at uint64, now time.Time) (f *floor, grown int) {
	f = s.byUser[user]
	if f != nil && f.subs == 0 && now.Sub(f.left) >= s.ttl {
		f, grown = nil, -s.forget(f)
	}
	if f == nil {
		f = &floor{user: user, from: at}
		if user != "" {
			if s.byUser == nil {
				s.byUser = make(map[string]*floor)
			}
			s.byUser[user] = f
			grown += floorCost
		}
	}
	f.subs++
	return f, grown
}

// leave ends one subscription of a user.
func (s *floors) leave(f *floor, now time.Time) {
	f.subs--
	f.left = now
}

// forget lets go of a floor. It returns how many bytes that were.
func (s *floors) forget(f *floor) (freed int) {
	if f.user == "" || s.byUser[f.user] != f {
		return 0
	}
	delete(s.byUser, f.user)
	return floorCost
}

// expire lets go of what is not needed any more. It returns how many bytes that
// were.
func (s *floors) expire(now time.Time) (freed int) {
	for _, f := range s.byUser {
		if f.subs == 0 && now.Sub(f.left) >= s.ttl {
			freed += s.forget(f)
		}
	}
	return freed
}
