package dynamodb

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Options say which table an engine uses, and how.
type Options struct {
	// Client calls DynamoDB: it knows the region, the endpoint and the credentials.
	// How often it makes a call again is up to it, but for the calls by which events
	// come. It has to be there.
	Client *dynamodb.Client

	// Table is the name of the table, as [CreateTable] makes it. "" is "kanava".
	Table string

	// Poll is how long after an event of a topic the engine looks for the next one,
	// where somebody on this node is subscribed to it: 1 ms to 1 minute. While
	// nothing comes it takes twice as long each time, up to 8 times Poll. 0: 250 ms.
	Poll time.Duration

	// Logger is told what an operator should know. nil: slog.Default().
	Logger *slog.Logger
}

// complete puts defaults in, or returns what cannot be meant.
func (o *Options) complete() error {
	switch {
	case o.Poll == 0:
		o.Poll = 250 * time.Millisecond
	case o.Poll < time.Millisecond || o.Poll > time.Minute:
		return fmt.Errorf("a poll each %v", o.Poll)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}
