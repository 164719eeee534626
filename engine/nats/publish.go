package nats

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// patience is how long an answer to a publication that can be repeated is waited
// for: a stream that gets another leader loses what was on its way.
const patience = 2 * time.Second

// ack is the answer to a message to a stream.
type ack struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}

// apiError is what JetStream answers with.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// Publish implements [engine.Broker].
func (e *Engine) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	if err := e.publish(ctx, t, ev); err != nil {
		return fmt.Errorf("nats: publish: %w", err)
	}
	return nil
}

func (e *Engine) publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	m := outgoing{data: bytes.Clone(ev.Data)}
	if ev.Except != "" {
		m.setHeader(headerExcept, base64.RawURLEncoding.EncodeToString([]byte(ev.Except)))
	}
	if ev.Binary {
		m.setHeader(headerBinary, "1")
	}
	if t.Class == engine.Volatile {
		m.subject = e.names.live(t.Name)
		if err := e.usable(ctx); err != nil {
			return err
		}
		return e.enqueue(ctx, m)
	}
	r := retentionOf(t)
	m.subject = e.names.kept(r, t.Name)
	if t.Class == engine.Latest {
		m.subject += "." + token(ev.Key)
	}
	if ev.ID != "" {
		m.setHeader(headerID, token(t.Name)+"."+token(ev.ID))
	}
	return e.store(ctx, e.stream(r), m)
}

func (o *outgoing) setHeader(name, value string) {
	if o.header == nil {
		o.header = make(natsgo.Header, 2)
	}
	o.header[name] = []string{value}
}

// store puts a message into a stream. It tries again where it is known that
// nothing has been stored, or the message has an id.
func (e *Engine) store(ctx context.Context, s *stream, m outgoing) error {
	var backoff backoff
	for {
		before := s.seen()
		a, err := e.storeOnce(ctx, m)
		switch {
		case err == nil:
			if !a.Duplicate && s.stored(a, before) {
				e.renewEpoch(s, a)
			}
			return nil
		case errors.Is(err, errNobody):
			if err := e.ensure(ctx, s); err != nil {
				return err
			}
		case transient(err):
		case m.header[headerID] != nil && ctx.Err() == nil && (errors.Is(err, errLost) || errors.Is(err, context.DeadlineExceeded)):
		default:
			return err
		}
		if err := e.pause(ctx, &backoff); err != nil {
			return err
		}
	}
}

func (e *Engine) storeOnce(ctx context.Context, m outgoing) (ack, error) {
	if m.header[headerID] != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	answers, err := e.ask(ctx, m, nil)
	if err != nil {
		return ack{}, err
	}
	var a ack
	if err := json.Unmarshal(answers[0].Data, &a); err != nil {
		return ack{}, fmt.Errorf("answer that is none: %w", err)
	}
	if a.Error != nil {
		return ack{}, a.Error
	}
	return a, nil
}
