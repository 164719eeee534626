package kanava

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// An openContext is at any time what context.WithTimeout would be.
func TestOpenContext(t *testing.T) {
	type key struct{}
	ends := map[string]func(parent context.CancelFunc, done func()){
		"the request ends":     func(parent context.CancelFunc, _ func()) { parent() },
		"the opening ends":     func(_ context.CancelFunc, done func()) { done() },
		"it takes too long":    func(context.CancelFunc, func()) { time.Sleep(time.Minute) },
		"it ends too late":     func(_ context.CancelFunc, done func()) { time.Sleep(2 * time.Minute); done() },
		"the request has gone": func(parent context.CancelFunc, done func()) { parent(); done() },
		"it goes on meanwhile": func(context.CancelFunc, func()) {},
	}
	for name, end := range ends {
		for _, when := range []string{"nobody asks before", "somebody waits", "another is made of it"} {
			t.Run(name+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
					defer cancel()
					x := newOpenContext(parent, time.Minute)
					want, stop := context.WithTimeout(parent, time.Minute)
					defer stop()
					defer x.close()
					child := context.Context(x)
					switch when {
					case "somebody waits":
						x.Done()
					case "another is made of it":
						var cancelChild context.CancelFunc
						child, cancelChild = context.WithCancel(x)
						defer cancelChild()
					}
					end(cancel, func() { x.close(); stop() })
					synctest.Wait()
					if got := child.Err(); !errors.Is(got, want.Err()) || got != nil && !errors.Is(x.Err(), got) {
						t.Errorf("the error is %v and %v, want %v", got, x.Err(), want.Err())
					}
					over := false
					select {
					case <-x.Done():
						over = true
					default:
					}
					if over != (want.Err() != nil) {
						t.Errorf("done is %v", over)
					}
					at, ok := x.Deadline()
					if wantAt, _ := want.Deadline(); !at.Equal(wantAt) || !ok || x.Value(key{}) != "value" {
						t.Errorf("the deadline is %v, %v, the value %v", at, ok, x.Value(key{}))
					}
				})
			})
		}
	}
}
