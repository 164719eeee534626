package webpubsub

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// This file makes up for what the service does not promise: that an event comes
// once, and that the end of a connection is told.

const (
	eventAge = 10 * time.Minute // of an event that is still taken

	// markTime is how long an event is known. It is more than eventAge by what clocks
	// may differ.
	markTime = eventAge + 5*time.Minute
)

// once refuses an event that has come before. It writes to the Store, before
// anything is done: a process can end at any time.
func (f *Function) once(ctx context.Context, ev *Event) error {
	if time.Since(ev.Time) > eventAge {
		return refuse(http.StatusConflict, "the event is too old")
	}
	f.runtime.Start()
	_, err := f.store.Save(ctx, markOf(ev), []byte{'1'}, 0, markTime)
	if errors.Is(err, engine.ErrConflict) {
		return refuse(http.StatusConflict, "the event has come before")
	}
	if err != nil {
		return fmt.Errorf("note an event: %w", err)
	}
	return nil
}

// again lets an event come once more.
func (f *Function) again(ctx context.Context, ev *Event) error {
	if _, err := f.store.Delete(ctx, markOf(ev)); err != nil {
		return fmt.Errorf("forget an event: %w", err)
	}
	return nil
}

// markOf is the id under which the Store keeps that an event has come. No connection
// has such an id.
func markOf(ev *Event) string {
	sum := sha256.Sum256([]byte(string(ev.Type) + "\x00" + ev.ConnectionID + "\x00" + ev.ID))
	return "\x01event:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkOneIn is how many messages are sent for one look whether a connection is there.
const checkOneIn = 16

// checked reports whether it is time for one. The service accepts messages to
// connections that are gone, and tells the end of a connection three times more if
// nobody takes it: where that was in vain, OnDisconnect would not run, and the user
// would seem to be present, until keep is over. It is by chance so that no process has
// to remember anything, and each connection has its turn.
func checked() bool { return rand.N(checkOneIn) == 0 } //nolint:gosec // nobody gains by guessing it
