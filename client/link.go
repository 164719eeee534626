package client

import "context"

// dialer makes connections, one at a time, and sends the hello. The context
// ends the attempt, not the link. An error is an *ending, or one of the program.
type dialer func(ctx context.Context, hello []byte) (link, error)

// link is one connection of some transport. One goroutine reads and one writes;
// close is called once, by the one that writes.
type link interface {
	// read returns the next message, whose bytes belong to the caller until the
	// next read. When the connection has ended it returns an *ending.
	read() (message, error)
	// write sends messages in order. It keeps none of their bytes. An error is
	// that of a link that has ended, which read finds too. A link that is textOnly
	// is given no bytes.
	write([]message) error
	// close ends the connection. If code is not 0 it tells the peer and waits
	// for its answer, while read goes on.
	close(code CloseCode)
	// abort ends the connection at once, and whatever waits for it. It may be
	// called at any time.
	abort()
	// textOnly reports that bytes travel as text.
	textOnly() bool
}

// message is a text or binary message.
type message struct {
	data   []byte
	binary bool
}

// ending is how a connection ended, or why it could not be made.
type ending struct {
	code   CloseCode
	reason string
	after  float64 // milliseconds after which to come back, if the peer said so
	cause  error
	plain  bool // another transport would end no other way
}

func (e *ending) Error() string {
	if e.cause != nil {
		return e.reason + ": " + e.cause.Error()
	}
	return e.reason
}

func (e *ending) Unwrap() error { return e.cause }
