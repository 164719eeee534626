package load

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Echo sends 64 bytes on each of conns connections, and again whenever they
// have come back.
func Echo(ctx context.Context, t Target, conns int) (*Work, error) {
	message := `"` + sixtyFour[:62] + `"`
	return pingPong(ctx, t, "/echo", conns, message, func(got []byte) bool { return string(got) == message })
}

// TypedEcho calls the function "echo" with a message of 64 bytes.
func TypedEcho(ctx context.Context, t Target, conns int) (*Work, error) {
	begins := []byte(t.Dialect.typedReply)
	return pingPong(ctx, t, "/typed", conns, t.Dialect.typed, func(got []byte) bool { return bytes.HasPrefix(got, begins) })
}

func pingPong(ctx context.Context, t Target, path string, conns int, message string, right func([]byte) bool) (*Work, error) {
	w := &Work{}
	if err := w.open(ctx, t, path, "", conns); err != nil {
		return nil, err
	}
	frame := text(message)
	for _, c := range w.conns {
		w.wg.Go(func() {
			latencies, err := w.pingPong(t, c, frame, right)
			if err != nil {
				w.fail(err)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.latencies = append(w.latencies, latencies...)
		})
	}
	return w, nil
}

// A connection remembers as many latencies as this, the last ones.
const remembered = 1 << 12

func (w *Work) pingPong(t Target, c *conn, frame []byte, right func([]byte) bool) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, remembered)
	c.patient(time.Hour) // Stop is who loses patience
	for n := 0; !w.stopping.Load(); n++ {
		begun := time.Now()
		if err := c.write(frame); err != nil {
			return nil, err
		}
		for answered := false; !answered; {
			read, err := c.read()
			if err != nil {
				return nil, err
			}
			if err := t.Dialect.each(read, func(m []byte) error {
				if answered || !right(m) {
					return fmt.Errorf("not an echo: %s", m)
				}
				answered = true
				return nil
			}); err != nil {
				return nil, err
			}
		}
		if took := time.Since(begun); len(latencies) < remembered {
			latencies = append(latencies, took)
		} else {
			latencies[n%remembered] = took
		}
		w.messages.Add(1)
	}
	return latencies, nil
}
