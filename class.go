package kanava

import (
	"fmt"
	"time"
)

// class is the delivery class of a topic (docs/protocol.md section 4).
type class uint8

const (
	ordered class = iota // the default, also of topics that no Topic has made
	volatile
	latest
	recoverable
)

// keeps tells whether topics of this class keep events.
func (c class) keeps() bool { return c == latest || c == recoverable }

func (c class) String() string {
	return [...]string{ordered: "ordered", volatile: "volatile", latest: "latest", recoverable: "recoverable"}[c]
}

// Ordered is the default class of a topic: events arrive once and in one order
// at every subscriber. Nothing is kept: who was away is told that events are
// lost, and who is too slow is closed with [CloseSlowConsumer].
func Ordered() TopicOption { return ofClass("Ordered", ordered) }

// Volatile is for events of which the next one makes up for a lost one. Where a
// subscriber is too slow its oldest ones are dropped, and nobody is told.
func Volatile() TopicOption { return ofClass("Volatile", volatile) }

// Latest is for topics of which only the newest event matters. It is kept for
// who subscribes later, and a newer event takes the place of an older one that
// still waits for a slow subscriber.
func Latest() TopicOption { return ofClass("Latest", latest) }

// LatestBy is [Latest] with the newest event of each key that key returns, at
// most 256 bytes; the newest 1,024 keys of a topic are kept.
func LatestBy[T any](key func(T) string) TopicOption {
	mustFunc(key == nil, "LatestBy", callerPlace(0))
	is := ofClass("LatestBy", latest)
	return func(f *family) {
		is(f)
		f.keyOf = func(v any) (string, error) {
			e, ok := v.(T)
			if !ok {
				return "", fmt.Errorf("kanava: LatestBy of topic %q takes a %T, but the event is a %T", f.name, e, v)
			}
			return key(e), nil
		}
	}
}

// Recoverable keeps the last size events of each topic, those that are younger
// than ttl: a client that comes back, or was too slow, gets what it has missed,
// or is told that it cannot. It panics if one of them is not positive.
func Recoverable(size int, ttl time.Duration) TopicOption {
	if size <= 0 || ttl <= 0 {
		panic(fmt.Sprintf("kanava: Recoverable(%d, %v) at %s keeps nothing", size, ttl, callerPlace(0)))
	}
	is := ofClass("Recoverable", recoverable)
	return func(f *family) {
		is(f)
		f.size, f.ttl = size, ttl
	}
}

func ofClass(option string, c class) TopicOption {
	return func(f *family) {
		if f.classBy != "" {
			panic(fmt.Sprintf("kanava: topic %q at %s: its class is both %s and %s", f.name, f.where, f.classBy, option))
		}
		f.class, f.classBy = c, option
	}
}
