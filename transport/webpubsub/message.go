package webpubsub

import (
	"errors"
	"fmt"
)

// DataType says what the bytes of a [Message] are.
type DataType string

// What a client gets depends on its subprotocol. These are the frames of a plain
// client, and of one with a subprotocol that the service does not know; a client
// of json.webpubsub.azure.v1 gets an object around the data.
const (
	Text   DataType = "text"   // UTF-8, in a text frame
	JSON   DataType = "json"   // one JSON value, in a text frame
	Binary DataType = "binary" // bytes, in a binary frame
)

// contentType is how the service's HTTP names the type; "" if there is no such
// type.
func (t DataType) contentType() string {
	switch t {
	case Text:
		return "text/plain"
	case JSON:
		return "application/json"
	case Binary:
		return "application/octet-stream"
	}
	return ""
}

// Message is what a client sends or gets. The zero value is no message.
type Message struct {
	Type DataType
	Data []byte
}

// MaxMessage is how many bytes a [Message] may have. The service's documents say
// "1 MB", for frames of clients and for requests alike; this is the smaller
// reading of it.
const MaxMessage = 1_000_000

// ErrTooLarge is in the error for a [Message] of more than [MaxMessage] bytes,
// of which nothing was sent.
var ErrTooLarge = errors.New("message too large for Azure Web PubSub")

// check reports what keeps m from being sent.
func (m Message) check() error {
	switch {
	case m.Type.contentType() == "":
		return fmt.Errorf("webpubsub: no data type %q", string(m.Type))
	case len(m.Data) > MaxMessage:
		return fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, len(m.Data), MaxMessage)
	}
	return nil
}
