package engine

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Store keeps connections where no process lives as long as they do: behind a
// gateway that hands each message to whatever process there is. Records are
// small, up to some 300 KiB. Ids, groups and members are any 1 to 512 bytes, also
// such as are no text. Methods are called from many goroutines and processes at
// once. What was written is there for whoever reads after the writing has
// returned, in any process. An error says that it is not known whether it has been
// done, unless that is said. What Data points to is not changed by either side,
// and belongs to whoever has got it.
type Store interface {
	// Load returns what is kept of connections, at most 1,024 of them, in the same
	// order. One of which nothing is kept has Version 0.
	Load(ctx context.Context, ids []string) ([]Record, error)

	// Save keeps data in the place of the record that has this version, or where
	// there is none if that is 0, and until ttl from now at the least. It returns the
	// version of the new record, which no other one of this id has had. Where another
	// record has come meanwhile, or this one has gone, it does nothing and returns
	// ErrConflict. An error that is not ErrConflict may come after the writing.
	Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (saved uint64, err error)

	// Delete removes the record, whatever its version, and returns what it was: of
	// all who delete one record, one gets it. Where there is none it returns the
	// zero Record.
	Delete(ctx context.Context, id string) (Record, error)

	// Join puts a member into a group until ttl from now at the least; again, it
	// only prolongs that.
	Join(ctx context.Context, group, member string, ttl time.Duration) error

	// Leave takes a member out. It is not an error if it is not there.
	Leave(ctx context.Context, group, member string) error

	// Members returns those of a group, in any order and each once. Who is there all
	// the time is returned. The error that comes in place of a member is the last.
	Members(ctx context.Context, group string) iter.Seq2[string, error]
}

// Record is what a [Store] keeps of one connection.
type Record struct {
	Data    []byte
	Version uint64 // 0 is none
}

// ErrConflict is what Save returns where the record is not the one that was read.
var ErrConflict = errors.New("engine: the record has changed")

// Stamper is a [Broker] which tells who publishes an event what has become of it. A
// hub needs that for connections that are not of any process: it sends them the
// event itself.
type Stamper interface {
	// PublishStamped is Publish. It returns the event as it is delivered, with At,
	// Prev and Time; of a Volatile topic as it was given. published is false where
	// the topic has had the ID before: then nothing was published.
	PublishStamped(ctx context.Context, t Topic, e Event) (stamped Event, published bool, err error)
}
