package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/bench/load"
	"github.com/kanava-go/kanava/transport/ws"
)

// Each kind of load runs without a message lost, and counts.
func TestLoad(t *testing.T) {
	srv := newServer()
	web := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer web.Close()
	target := load.Target{Addr: strings.TrimPrefix(web.URL, "http://"), Dialect: load.Plain}
	ctx := t.Context()
	for name, start := range map[string]func() (*load.Work, error){
		"echo":    func() (*load.Work, error) { return load.Echo(ctx, target, 10) },
		"typed":   func() (*load.Work, error) { return load.TypedEcho(ctx, target, 10) },
		"fan-out": func() (*load.Work, error) { return load.FanOut(ctx, target, 20, 8) },
	} {
		w, err := start()
		if err != nil {
			t.Fatal(name, err)
		}
		for end := time.Now().Add(10 * time.Second); w.Messages() < 1000 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if err := w.Stop(); err != nil || w.Messages() < 1000 {
			t.Error(name, w.Messages(), err)
		}
	}
	if err := load.Rounds(ctx, target, 100); err != nil {
		t.Error(err)
	}
	w, err := load.Idle(ctx, target, 50)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Drop(ctx, target, time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := w.Alive(target); err != nil {
		t.Error(err)
	}
}
