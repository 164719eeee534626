package webpubsub

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/kanava-go/kanava"
)

// This file runs what happens to connections, and sends to them.

// handle is the HandleFunc of a Function.
func (f *Function) handle(ctx context.Context, ev *Event) (*Response, error) {
	switch ev.Type {
	case Connect:
		return f.connect(ctx, ev)
	case Connected:
		err := f.runtime.Connected(ctx, ev.ConnectionID)
		if errors.Is(err, kanava.ErrGone) { // it has ended, or is forgotten
			err = f.platform.Close(ctx, ev.ConnectionID, kanava.CloseInternal, "")
		}
		return nil, err
	case User:
		return f.message(ctx, ev)
	case Disconnected: // the code is not told, and the reason is a text of the service
		return nil, f.runtime.Disconnect(ctx, ev.ConnectionID, kanava.CloseAbnormal, "")
	}
	return nil, nil
}

// message runs what a client has said. The last message to it is the answer to the
// event, which spares a call, unless others were sent before: nobody promises that
// these come first. An event of a topic is sent, too: the next one may come from
// elsewhere before the answer is there.
func (f *Function) message(ctx context.Context, ev *Event) (*Response, error) {
	if err := f.once(ctx, ev); err != nil {
		return nil, err
	}
	var res Response
	told := &telling{id: ev.ConnectionID}
	err := f.runtime.Message(context.WithValue(ctx, tellingKey{}, told), ev.ConnectionID, ev.Message.Data, ev.Message.Type == Binary, func(frame kanava.Frame) bool {
		if told.some.Load() || frame.Shared != nil || len(frame.Data) == 0 || len(frame.Data) > MaxMessage {
			return false
		}
		res.Message = messageOf(frame)
		return true
	})
	switch {
	case err == nil:
		return &res, nil
	case errors.Is(err, kanava.ErrGone): // it is kept no more
		return nil, refuse(http.StatusGone, "this connection is not known here")
	}
	f.logger.ErrorContext(ctx, "webpubsub: a message failed", "connection", ev.ConnectionID, "event", ev.ID, "error", err)
	if res.Message.none() { // what the client waits for may never come: the connection ends
		return nil, refuse(http.StatusUnprocessableEntity, "the event failed")
	}
	return &res, nil
}

// telling notes whether the connection of an event was sent something during it. It
// is in the context of the event.
type telling struct {
	id   string
	some atomic.Bool
}

type tellingKey struct{}

func messageOf(f kanava.Frame) Message {
	if f.Binary {
		return Message{Binary, f.Data}
	}
	return Message{Text, f.Data}
}

// platform sends to connections by the REST API. It tries again as its Client does.
type platform struct{ client *Client }

var _ kanava.Platform = platform{}

// Send implements kanava.Platform.
func (p platform) Send(ctx context.Context, id string, f kanava.Frame) error {
	if told, ok := ctx.Value(tellingKey{}).(*telling); ok && told.id == id {
		told.some.Store(true)
	}
	err := p.client.SendToConnection(ctx, id, messageOf(f))
	if err == nil && checked() {
		var there bool
		if there, err = p.client.ConnectionExists(ctx, id); err == nil && !there {
			return kanava.ErrGone
		}
		return nil // it has been sent all the same
	}
	if errors.Is(err, ErrGone) {
		return kanava.ErrGone
	}
	return err
}

// Close implements kanava.Platform. The service chooses the code.
func (p platform) Close(ctx context.Context, id string, _ kanava.CloseCode, reason string) error {
	return p.client.CloseConnection(ctx, id, reason)
}
