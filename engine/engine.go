// Package engine says what joins the hubs of several nodes: an [Engine] carries
// their events and keeps what they share. Programs choose one, as
// kanava.HubOptions.Engine; only who writes an engine uses more of this package.
// Package enginetest has the tests that each has to pass.
//
// A hub is the only user of its engine. It calls methods from many goroutines,
// always with a context that ends within 10 s, and an engine returns when that
// ends, whatever its server does. Nothing is sent before [Broker.Start]. An error
// of a method says that it is not known whether it has been done, unless that is
// said.
//
// Names of topics, groups, members, owners and keys are any 1 to 512 bytes, also
// such as are no text: an engine maps different ones to different ones.
package engine

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Engine is all that a hub needs of its nodes' common ground.
type Engine interface {
	Broker
	Registry
}

// ErrClosed is what the methods of an engine return after Close.
var ErrClosed = errors.New("engine: closed")

// Broker carries events (docs/protocol.md section 4).
type Broker interface {
	// Start names who gets the events, and begins to connect. It does not wait for
	// that and is called once, before all else. An engine that finds nobody to
	// connect to goes on trying until Close.
	Start(h Handler)

	// Publish gives the event its position, keeps what the class of the topic
	// wants kept, and then hands it to all nodes that are subscribed, this one
	// included. It returns when the event is kept; that of a Volatile topic may
	// be lost. An event with the ID of one that was published to the topic in the
	// last two minutes is not published again, which is no error; where the topic
	// is Volatile it may be. Events of one goroutine keep their order. What Data
	// points to is not changed, and not kept when Publish has returned.
	Publish(ctx context.Context, t Topic, e Event) error

	// Subscribe has the events of a topic delivered: all that are published after
	// it has returned nil, until Unsubscribe. The engine makes it again when it has
	// lost its connection. A topic is subscribed to once at most at a time.
	Subscribe(ctx context.Context, t Topic) error

	// Unsubscribe undoes Subscribe, also one that has returned an error. What is
	// on its way may still be delivered. It does not wait for the network.
	Unsubscribe(t Topic)

	// Positions returns where topics stand, those of class Volatile apart, at most
	// 1,024 of them, in the same order. The position of a topic nobody has
	// published to has an epoch too, and keeps it: events that follow have the
	// same. It never returns less than was delivered here.
	Positions(ctx context.Context, topics []Topic) ([]Position, error)

	// Read returns what is kept of the events that followed since, the oldest
	// first: of a Recoverable topic its last ones, of a Latest one the newest of
	// each key, of an Ordered one none. The zero Position is before all that is
	// kept, and but for Ordered topics nothing is Lost from there. At most limit
	// events are returned, and as a rule not more than about 1 MiB of them, but one
	// at least if there is one. It never returns less than was delivered here.
	Read(ctx context.Context, t Topic, since Position, limit int) (Page, error)

	// Probe sends something over each connection by which events come, and returns
	// nil when it has come back on all of them: a connection that has fallen
	// silent is found so, and not by waiting for events.
	Probe(ctx context.Context) error

	// Close ends all. It waits until what has been published is sent, at most until
	// ctx ends. Nothing is delivered after it has returned.
	Close(ctx context.Context) error
}

// Handler is a hub as its engine sees it.
type Handler interface {
	// Deliver takes events of one topic in the order of their offsets; calls for
	// one topic do not overlap. An event may come twice or not at all: positions
	// tell. It does not wait for anybody. Events and their Data are the hub's from
	// then on.
	Deliver(topic string, events []Event)

	// Resumed says that events of these topics, or of all where none is named, may
	// have been missed: a connection was lost, and what was subscribed to by it is
	// again. It does not wait.
	Resumed(topics ...string)
}

// Class is the delivery class of a topic.
type Class uint8

// The classes, as docs/protocol.md section 4 has them. Each is sent to several
// nodes, and kept, in its own way.
const (
	Volatile    Class = iota // no positions, nothing kept; each publisher's events in order
	Latest                   // positions; the newest event of each key is kept, of 1,024 keys at least, for 24 h
	Ordered                  // positions; no event is kept
	Recoverable              // positions; the last Size events are kept, each for TTL
)

// String returns the name of the class in lower case.
func (c Class) String() string {
	return [...]string{"volatile", "latest", "ordered", "recoverable"}[c]
}

// Topic is a topic and what is to be kept of it. All nodes say the same of one
// topic, but for the time in which a program that says something else takes the
// place of an older one: then each publication keeps what it says.
type Topic struct {
	Name  string
	Class Class
	Size  int           // of Recoverable: how many events are kept, at the least
	TTL   time.Duration // of Recoverable: how long
}

// Position is where a topic stands: after the event with this offset. An epoch
// is one unbroken count of events, up to 16 bytes of ASCII letters and digits. An
// engine that may have lost what it had kept, by a restart without its data, say,
// begins another, and never returns to one. The position of a topic is kept for
// 24 h after its last event at least, and longer than its events.
type Position struct {
	Epoch  string
	Offset uint64 // below 2^53; 0 is before the first event
}

// Event is one event of a topic.
type Event struct {
	ID     string // names the publication; see Publish. Need not be delivered
	Key    string // of a Latest topic, any 0 to 256 bytes
	Except string // who is not to see it; the hub's: text, up to some KiB
	Data   []byte // JSON or, if Binary is set, bytes; up to some MiB
	Binary bool

	// Set by the engine, but not of a Volatile topic.
	At   Position
	Prev uint64    // the offset of the event before it, 0 if there is none; not needed of a Latest topic
	Time time.Time // when it was kept, by the engine's clock
}

// Page is what Read returns.
type Page struct {
	Events []Event
	At     Position // where the topic stands, after the last of Events at the least
	More   bool     // others follow the last of Events
	// Lost says that not all that followed is kept any more, that the epoch is
	// another one, or that nothing has the offset yet. Events begins with the oldest
	// that is kept then. Of an Ordered topic it is set unless since is where the
	// topic stands, of a Latest one for another epoch only.
	Lost bool
}

// Registry keeps what nodes say of themselves and of their connections, small
// things that end with whoever has said them.
type Registry interface {
	// Renew makes the lease of an owner end ttl from now, by the engine's clock.
	// held is false if there was none: the first call begins it, and after one
	// that came too late all entries of the owner have ended, but those that Last.
	Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error)

	// Owners returns those with a lease that has not ended.
	Owners(ctx context.Context) ([]string, error)

	// Put keeps an entry in the place of a former one with the same Group, Member
	// and Owner. An owner without a lease has none but those that Last.
	Put(ctx context.Context, e Entry) error

	// Entries returns those of a group that have not ended, in any order. The error
	// that comes in place of an entry is the last. Who is there all the time is
	// returned once.
	Entries(ctx context.Context, group string) iter.Seq2[Entry, error]

	// Keep keeps value for key unless something is kept there already, and returns
	// what is kept then. It ends ttl from now, if nobody calls Keep again.
	Keep(ctx context.Context, key string, value []byte, ttl time.Duration) (kept []byte, err error)

	// Forget ends what Keep keeps.
	Forget(ctx context.Context, key string) error
}

// Entry is what an owner says of a member of a group.
type Entry struct {
	Group, Member, Owner string
	Value                []byte        // up to 64 KiB and a little
	Lasts                time.Duration // how long from Put on, whatever becomes of the owner; 0: as long as the owner's lease
}
