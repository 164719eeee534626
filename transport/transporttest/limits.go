package transporttest

import (
	"context"
	"strings"
	"testing"

	"github.com/kanava-go/kanava"
)

// This file has behaviours around limits that the transport enforces, or that
// need what only it knows.

func testChannelLimits(t *testing.T, tr Transport) {
	srv := kanava.NewServer(quiet())
	for name, limit := range map[string]int{"small": 100, "usual": 0, "large": 1 << 20} {
		srv.Wire(kanava.Wiring[none, none]{
			Name: name, Route: "/" + name, Public: true,
			Limits:    kanava.Limits{Message: limit},
			OnMessage: kanava.Func(func(_ context.Context, _ *lab, in string) (int, error) { return len(in), nil }),
		})
	}
	shutDown(t, srv.Shutdown)
	d := tr.Serve(t, srv)
	text := func(size int) string { return `"` + strings.Repeat("x", size-2) + `"` }
	for _, tc := range []struct {
		path  string
		limit int
		reply string // to a message of that size
	}{{"/small", 100, "98"}, {"/usual", 64 << 10, "65534"}, {"/large", 1 << 20, "1048574"}} {
		p := dial(t, d, tc.path)
		p.send(text(tc.limit))
		p.expect(tc.reply)
		_ = p.trySend(text(tc.limit + 1)) // the server may close before it has read all
		p.expectClose(int(kanava.CloseTooBig))
	}
}

func testAddressConns(t *testing.T, tr Transport) {
	opts := quiet()
	opts.Limits = kanava.Limits{AddressConns: 2}
	_, d := serveLab(t, tr, opts, kanava.Wiring[none, none]{
		Messages: kanava.By("action", kanava.OnDo("ping", func(context.Context, *lab, none) error { return nil })),
	})
	first := dial(t, d, "/lab")
	dial(t, d, "/lab").expectNone()
	dialRefused(t, d, Request{Path: "/lab"}, 429, "resource_exhausted")
	first.expectNone()
	first.Cut()
	eventually(t, "a place is free", func() bool {
		p, err := dialRequest(t, d, Request{Path: "/lab"})
		if err != nil {
			return false
		}
		p.expectNone()
		return true
	})
}
