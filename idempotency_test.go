package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// keyedServer counts how often its actions run. The slow one says that it has
// started, and waits for the gate.
func keyedServer(t *testing.T, started chan<- struct{}, gate <-chan struct{}) (*server, *atomic.Int64) {
	t.Helper()
	runs := &atomic.Int64{}
	return serve(t, kanava.Options[account]{}, wiring{Messages: by(login(),
		kanava.On("count", func(_ context.Context, _ *line, in text) (text, error) {
			n := runs.Add(1)
			switch in.Message {
			case "refuse":
				return text{}, kanava.Errorf(kanava.CodeNotFound, "run %d", n)
			case "fail":
				return text{}, errors.New("secret")
			case "fail big":
				return text{}, kanava.Errorf(kanava.CodeAborted, "%s", strings.Repeat("x", 65<<10))
			case "big":
				return text{strings.Repeat("x", 65<<10)}, nil
			case "panic":
				panic("boom")
			}
			return text{fmt.Sprintf("run %d", n)}, nil
		}),
		kanava.On("slow", func(ctx context.Context, _ *line, _ kanava.None) (int64, error) {
			n := runs.Add(1)
			started <- struct{}{}
			select {
			case <-gate:
				return n, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}, kanava.Concurrent()),
		kanava.On("blob", func(_ context.Context, _ *line, in text) (string, error) {
			n := runs.Add(1)
			return fmt.Sprint(n, strings.Repeat("x", 60_000)), nil
		}),
		kanava.On("broken", func(context.Context, *line, kanava.None) (broken, error) { runs.Add(1); return broken{}, nil }),
		kanava.OnStream("many", func(context.Context, *line, kanava.None, *kanava.Stream[int]) error { return nil }),
	)}), runs
}

// broken is a result that cannot be encoded.
type broken struct {
	X int `json:"x"`
}

func (broken) MarshalJSON() ([]byte, error) { panic("boom") }

// as opens a connection of kanava.v1 on which user has signed in.
func as(t *testing.T, srv *server, user string) *kanavatest.Client {
	t.Helper()
	c := openV1(t, srv)
	c.SendText(`{"do":"login","id":1,"in":{"id":"` + user + `"}}`)
	c.Expect(`{"re":1}`)
	return c
}

func TestP18_ACallWithAKeyRunsOnce(t *testing.T) {
	srv, runs := keyedServer(t, nil, nil)
	a := as(t, srv, "ada")
	a.SendText(`{"do":"count","id":2,"key":"k1","in":{"message":"x"}}`)
	a.Expect(`{"re":2,"out":{"message":"run 1"}}`)
	a.Leave()
	b := as(t, srv, "ada") // another connection of the user
	for frame, want := range map[string]string{
		`{"do":"count","id":2,"key":"k1","in":{"message":"x"}}`:          `{"re":2,"out":{"message":"run 1"}}`,
		`{"do":"count","id":3,"key":"k1","in":{"message":"y"}}`:          `{"re":3,"err":{"code":"invalid_argument","message":"this key was used for another input"}}`,
		`{"do":"count","id":4,"key":"","in":{"message":"y"}}`:            `{"re":4,"err":{"code":"invalid_argument",…}}`,
		`{"do":"count","id":5,"key":7,"in":{"message":"y"}}`:             `{"re":5,"err":{"code":"invalid_argument",…}}`,
		`{"do":"many","id":6,"key":"k1"}`:                                `{"re":6,"err":{"code":"invalid_argument",…}}`,
		`{"do":"count","id":7,"key":"` + strings.Repeat("k", 257) + `"}`: `{"re":7,"err":{"code":"invalid_argument",…}}`,
	} {
		b.SendText(frame)
		expectLike(t, b, want)
	}
	if n := runs.Load(); n != 1 {
		t.Fatalf("the function ran %d times", n)
	}
	other := as(t, srv, "bob") // the same key of another user
	other.SendText(`{"do":"count","id":2,"key":"k1","in":{"message":"x"}}`)
	other.Expect(`{"re":2,"out":{"message":"run 2"}}`)
	nobody := openV1(t, srv)
	nobody.SendText(`{"do":"count","id":2,"key":"k1","in":{"message":"x"}}`)
	expectLike(t, nobody, `{"re":2,"err":{"code":"unauthenticated",…}}`)
}

func TestP18_WhatIsKept(t *testing.T) {
	srv, _ := keyedServer(t, nil, nil)
	c := as(t, srv, "ada")
	for _, tc := range []struct{ in, first, again string }{
		{"refuse", `{"re":2,"err":{"code":"not_found","message":"run 1"}}`, `{"re":2,"err":{"code":"not_found","message":"run 1"}}`},
		{"fail", `{"re":2,"err":{"code":"internal",…}}`, `{"re":2,"err":{"code":"internal",…}}`},
		{"panic", `{"re":2,"err":{"code":"internal",…}}`, `{"re":2,"err":{"code":"internal",…}}`},
		{"big", `{"re":2,"out":{"message":"xx…"}}`, `{"re":2,"err":{"code":"aborted",…}}`},
		{"fail big", `{"re":2,"err":{"code":"aborted","message":"xx…"}}`, `{"re":2,"err":{"code":"aborted","message":"the call with this key has run, but…"}}`},
		{"last", `{"re":2,"out":{"message":"run 8"}}`, `{"re":2,"out":{"message":"run 8"}}`}, // fail and panic ran twice
	} {
		frame := `{"do":"count","id":2,"key":"` + tc.in + `","in":{"message":"` + tc.in + `"}}`
		c.SendText(frame)
		expectLike(t, c, tc.first)
		c.SendText(frame)
		expectLike(t, c, tc.again)
	}
}

func TestP18_ARepeatWaitsForTheFirst(t *testing.T) {
	started, gate := make(chan struct{}, 2), make(chan struct{})
	srv, runs := keyedServer(t, started, gate)
	a, b := as(t, srv, "ada"), as(t, srv, "ada")
	a.SendText(`{"do":"slow","id":2,"key":"k"}`)
	receive(t, started)
	b.SendText(`{"do":"slow","id":2,"key":"k"}`)
	b.SendText(`{"do":"count","id":3,"in":{"message":"refuse"}}`) // has its turn after it
	expectLike(t, b, `{"re":3,"err":{"code":"not_found",…}}`)
	close(gate)
	a.Expect(`{"re":2,"out":1}`)
	b.Expect(`{"re":2,"out":1}`)
	if n := runs.Load(); n != 2 { // with the one that was refused
		t.Fatalf("the functions ran %d times", n)
	}
}

func TestP18_ACallCutShortIsNotRunAgain(t *testing.T) {
	started := make(chan struct{}, 1)
	srv, runs := keyedServer(t, started, nil)
	a := as(t, srv, "ada")
	a.SendText(`{"do":"slow","id":2,"key":"k"}`)
	receive(t, started)
	a.Leave()
	<-a.Done()
	b := as(t, srv, "ada")
	b.SendText(`{"do":"slow","id":2,"key":"k"}`)
	expectLike(t, b, `{"re":2,"err":{"code":"aborted",…}}`)
	if n := runs.Load(); n != 1 {
		t.Fatalf("the function ran %d times", n)
	}
}

func TestP18_KeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, runs := keyedServer(t, nil, nil)
		c := as(t, srv, "ada")
		frame := `{"do":"count","id":2,"key":"k","in":{"message":"x"}}`
		for range 2 {
			c.SendText(frame)
			c.Expect(`{"re":2,"out":{"message":"run 1"}}`)
		}
		time.Sleep(5 * time.Minute)
		c.SendText(frame)
		c.Expect(`{"re":2,"out":{"message":"run 2"}}`)
		// A user's keys are bounded: the oldest goes.
		for i := range 256 {
			c.SendText(fmt.Sprintf(`{"do":"count","id":3,"key":"%d","in":{"message":"x"}}`, i))
			c.Next()
			time.Sleep(10 * time.Millisecond)
		}
		before := runs.Load()
		c.SendText(frame)
		c.Next()
		if runs.Load() != before+1 {
			t.Error("more keys of one user are kept than should be")
		}
	})
}

// What is kept is bounded by its size, too: the oldest of the user goes, and
// nothing of another user.
func TestP18_WhatIsKeptOfAUserIsBounded(t *testing.T) {
	srv, runs := keyedServer(t, nil, nil)
	a, b := as(t, srv, "ada"), as(t, srv, "bob")
	call := func(c *kanavatest.Client, key string, want int64) {
		t.Helper()
		c.SendText(`{"do":"blob","id":2,"key":"` + key + `","in":{"message":""}}`)
		expectLike(t, c, fmt.Sprintf(`{"re":2,"out":"%dx…"}`, want))
	}
	call(b, "0", 1)
	for i := range int64(17) { // 17 of 60,000 bytes fit into a MiB
		call(a, fmt.Sprint(i), 2+i)
	}
	call(a, "0", 2)
	call(a, "17", 19)
	call(a, "1", 3)
	call(b, "0", 1)
	call(a, "0", 20) // it was the oldest
	if n := runs.Load(); n != 20 {
		t.Errorf("the function ran %d times", n)
	}
}

func TestP18_AResultThatCannotBeEncodedIsNotWaitedFor(t *testing.T) {
	srv, runs := keyedServer(t, nil, nil)
	c := as(t, srv, "ada")
	for range 2 {
		c.SendText(`{"do":"broken","id":2,"key":"k"}`)
		expectLike(t, c, `{"re":2,"err":{"code":"internal",…}}`)
	}
	if n := runs.Load(); n != 2 { // an internal error is not kept
		t.Errorf("the function ran %d times", n)
	}
}
