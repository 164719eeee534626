package client_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// A call of a real server over loopback, both in this process.
func BenchmarkCall(b *testing.B) {
	srv, _ := newServer()
	server := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer server.Close()
	c := dial(b, server.URL, opening{"general"}, options{})
	ctx := context.Background()
	if _, err := client.Opened[welcome](ctx, c.Conn); err != nil {
		b.Fatal(err)
	}
	call := func() {
		if _, err := client.Call[say](ctx, c.Conn, "", "", say{"hello"}); err != nil {
			b.Error(err)
		}
	}
	b.Run("one after the other", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
	})
	b.Run("32 at a time", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	})
}
