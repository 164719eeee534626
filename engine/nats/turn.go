package nats

import (
	"context"
	"errors"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A server that is alone makes two streams for the same subjects if two nodes ask
// for one at once: it looks whether the subjects are taken, lets go of its lock,
// and only then adds the stream (nats-server 2.15.2, addStreamWithAssignment). An
// event would be stored in both, and have two epochs. So nodes take turns there. In
// a cluster the meta leader decides, and does so for one after the other.

// turnTime is how long a turn lasts at most, should its node die.
const turnTime = 10 * time.Second

var errNotMyTurn = errors.New("another node is making the stream")

// codeStoreFailed is the error of a stream that is full.
const codeStoreFailed = 10077

// takeTurn has no other node make a stream of this retention until endTurn. The
// error is errNotMyTurn if one does.
func (e *Engine) takeTurn(ctx context.Context, r retention) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := outgoing{subject: e.names.turn(r)}
	_, err := e.storeOnce(ctx, m)
	if errors.Is(err, errNobody) {
		if err = e.api(ctx, "STREAM.CREATE."+e.names.turns(), e.turns(), nil); err != nil {
			return err
		}
		_, err = e.storeOnce(ctx, m)
	}
	api := (*apiError)(nil)
	if errors.As(err, &api) && api.ErrCode == codeStoreFailed {
		return errNotMyTurn
	}
	return err
}

func (e *Engine) endTurn(r retention) {
	ctx, cancel := e.lifetime(patience)
	defer cancel()
	if err := e.api(ctx, "STREAM.PURGE."+e.names.turns(), map[string]string{"filter": e.names.turn(r)}, nil); err != nil && !e.over() {
		e.log.Warn("nats: nobody can make a stream for some seconds", "retention", string(r), "error", err)
	}
}

// turns is a stream that takes one message of each subject. Of several who make
// it at once all get the same, as it has but one name.
func (e *Engine) turns() natsgo.StreamConfig {
	c := natsgo.StreamConfig{
		Name:                 e.names.turns(),
		Description:          "Kanava: see the package engine/nats",
		Subjects:             []string{e.names.turn("*")},
		MaxMsgs:              -1,
		MaxBytes:             -1,
		MaxConsumers:         -1,
		MaxMsgsPerSubject:    1,
		Discard:              natsgo.DiscardNew,
		DiscardNewPerSubject: true,
		MaxAge:               turnTime,
		Duplicates:           turnTime,
		Storage:              natsgo.FileStorage,
	}
	if e.keep.InMemory {
		c.Storage = natsgo.MemoryStorage
	}
	return c
}
