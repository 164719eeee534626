package nats

import (
	"bytes"
	"context"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// Keep implements [engine.Registry].
func (e *Engine) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	kept, err := e.keepValue(ctx, key, value, ttl)
	if err != nil {
		return nil, fmt.Errorf("nats: keep: %w", err)
	}
	return kept, nil
}

func (e *Engine) keepValue(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	s := e.stream(ofRegistry)
	subject := e.names.value(key)
	for {
		var former *natsgo.Msg
		_, err := e.lastOf(ctx, s, []string{subject}, 0, func(_ string, m *natsgo.Msg) { former = m })
		if err != nil {
			return nil, err
		}
		now, err := e.now(ctx, s)
		if err != nil {
			return nil, err
		}
		m := outgoing{subject: subject, data: bytes.Clone(value)}
		if former != nil {
			l, err := leaseIn(former)
			if err != nil {
				return nil, err
			}
			m.expect(l.seq)
			if now.Before(l.until) {
				m.data = former.Data
			}
		} else {
			m.expect(0)
		}
		m.lasts(ttl)
		m.letGo(ttl)
		err = e.store(ctx, s, m)
		switch {
		case overtaken(err):
			continue
		case err != nil:
			return nil, err
		}
		return bytes.Clone(m.data), nil
	}
}

// Forget implements [engine.Registry].
func (e *Engine) Forget(ctx context.Context, key string) error {
	m := outgoing{subject: e.names.value(key)}
	m.lasts(0)
	m.letGo(0)
	if err := e.store(ctx, e.stream(ofRegistry), m); err != nil {
		return fmt.Errorf("nats: forget: %w", err)
	}
	return nil
}
