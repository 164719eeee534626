package kanava

import (
	"context"
	"fmt"
	"iter"
)

// LostError says that events of a topic are lost to who listens: those after
// From and up to To.
type LostError struct {
	Topic    string
	From, To Position
}

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("kanava: events of topic %q are lost: from %s/%d to %s/%d", e.Topic, e.From.Epoch, e.From.Offset, e.To.Epoch, e.To.Offset)
}

// ListenOption is an option of [Topic.Listen].
type ListenOption func(*Listener)

// Since begins with the events that followed a position, as [Topic.History] has
// returned it: between its page and the first event nothing is missing, or a
// *LostError says so. Of a Volatile topic, which has no positions, it has no
// meaning.
func Since(at Position) ListenOption { return func(l *Listener) { l.since = &at } }

// Listen returns the events of key, as they come, for a loop over them:
//
//	for event, err := range rooms.Listen(ctx, "general") {
//
// It is subscribed from the first step of the loop to its end; MaySubscribe is
// for channels and not asked. The newest events that a Latest topic keeps come
// first. A loop that is slower than its events gets what the class of the topic
// allows, as a [Listener] does.
//
// An error comes with the zero T. A [*LostError] says that events are missing
// here, and the loop goes on; so it does after an event that is not of type T,
// as one published raw can be. The last error is that of ctx, [ErrClosed] when
// the hub is closed, CodeInvalidArgument for a bad key, or
// CodeResourceExhausted for a loop that is too slow for an Ordered topic: after
// it nothing comes.
func (t *Topic[T]) Listen(ctx context.Context, key string, opts ...ListenOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		l := t.hub.newListener()
		l.news = make(chan struct{}, 1)
		l.in.ready = l.wake
		for _, o := range opts {
			o(l)
		}
		l.begin()
		defer l.Close()
		var zero T
		if err := t.Subscribe(ctx, l, key); err != nil {
			yield(zero, err)
			return
		}
		for {
			it, err := l.wait(ctx)
			switch {
			case err != nil:
				yield(zero, err)
				return
			case it.lost != nil:
				if !yield(zero, it.lost) {
					return
				}
				continue
			}
			if !yield(t.valueOf(ctx, it.ev)) {
				return
			}
		}
	}
}

// wake tells wait that something has come.
func (l *Listener) wake() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// wait returns what comes next, or why nothing does any more.
func (l *Listener) wait(ctx context.Context) (*inboxItem, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if it := l.in.next(); it != nil {
			return it, nil
		}
		if err := l.in.ended(); err != nil {
			return nil, err
		}
		select {
		case <-l.news:
		case <-ctx.Done():
		}
	}
}
