package transporttest

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// This file has behaviours of a server that shuts down.

var comeBack = regexp.MustCompile(`^draining 0-\d+$`)

// waits returns a wiring whose action "wait" waits for a gate, and one for each
// of its calls that run.
func waits(gates map[string]chan struct{}, left chan<- kanava.CloseCode) (kanava.Wiring[none, none], <-chan struct{}) {
	running := make(chan struct{}, len(gates))
	return kanava.Wiring[none, none]{
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *lab) error {
			code, _ := ch.Closed()
			left <- code
			return nil
		}),
		Messages: kanava.By("action",
			kanava.OnDo("wait", func(ctx context.Context, _ *lab, in gateName) error {
				running <- struct{}{}
				select {
				case <-gates[in.Gate]:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}),
			kanava.OnDo("ping", func(context.Context, *lab, none) error { return nil }),
		),
	}, running
}

func testDrain(t *testing.T, tr Transport) {
	gates := map[string]chan struct{}{"first": make(chan struct{}), "second": make(chan struct{})}
	left := make(chan kanava.CloseCode, 3)
	w, running := waits(gates, left)
	srv, d := serveLab(t, tr, quiet(), w)
	first, second, idle := dial(t, d, "/lab"), dial(t, d, "/lab"), dial(t, d, "/lab")
	first.send(`{"action":"wait","gate":"first"}`)
	second.send(`{"action":"wait","gate":"second"}`)
	receive(t, "a function runs", running)
	receive(t, "another function runs", running)
	idle.expectNone() // it has begun: OnDisconnect will run

	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(context.Background()) }() // ends when the last connection has
	if reason := idle.expectClose(int(kanava.CloseDraining)); !comeBack.MatchString(reason) {
		t.Errorf("an idle client is told %q", reason)
	}
	dialRefused(t, d, Request{Path: "/lab"}, 503, "unavailable")

	close(gates["first"])
	first.expect(`{"action":"wait"}`)
	if reason := first.expectClose(int(kanava.CloseDraining)); !comeBack.MatchString(reason) {
		t.Errorf("a client whose function ran is told %q", reason)
	}
	// The second is not disturbed by that: it is still answered.
	second.send(`{"action":"wait","gate":"first"}`)
	if problem := checkNext(second, "unavailable"); problem != "" {
		t.Errorf("a call of a server that shuts down: %s", problem)
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned (%v) while a function ran", err)
	default:
	}
	close(gates["second"])
	second.expect(`{"action":"wait"}`)
	second.expectClose(int(kanava.CloseDraining))
	if err := receive(t, "Shutdown returns", down); err != nil {
		t.Error(err)
	}
	for range 3 {
		if code := receive(t, "OnDisconnect", left); code != kanava.CloseDraining {
			t.Errorf("OnDisconnect saw the code %d", code)
		}
	}
}

// checkNext demands that the next frame is an error without an action.
func checkNext(p *peer, code string) string {
	f := p.next()
	if f.Kind != KindText {
		return "got " + f.String()
	}
	return checkErrorCode(f.Data, code)
}

func testCut(t *testing.T, tr Transport) {
	left := make(chan kanava.CloseCode, 1)
	w, running := waits(map[string]chan struct{}{"never": make(chan struct{})}, left)
	srv, d := serveLab(t, tr, quiet(), w)
	p := dial(t, d, "/lab")
	p.send(`{"action":"wait","gate":"never"}`)
	receive(t, "the function runs", running)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	for f := p.next(); ; f = p.next() { // the function may have been quick enough to say that it was canceled
		if f.Kind == KindClosed {
			if f.Code != int(kanava.CloseDraining) || !comeBack.MatchString(f.Reason) {
				t.Errorf("the client is told %v", f)
			}
			break
		}
	}
	if code := receive(t, "OnDisconnect", left); code != kanava.CloseDraining {
		t.Errorf("OnDisconnect saw the code %d", code)
	}
}
