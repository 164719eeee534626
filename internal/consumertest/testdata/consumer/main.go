// Consumer is somebody else's program: it wires a channel, mounts it, and asks
// for it without an upgrade.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

type (
	name struct {
		Name string `json:"name"`
	}
	greeting struct {
		Message string `json:"message"`
	}
	hello = kanava.Channel[kanava.None, kanava.None]
)

func greet(_ context.Context, _ *hello, in name) (greeting, error) {
	return greeting{"Hello, " + in.Name + "!"}, nil
}

func newServer() *kanava.Server[kanava.None] {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "hello", Route: "/hello", Public: true,
		OnMessage: kanava.Func(greet),
	})
	return srv
}

func main() {
	rec := httptest.NewRecorder()
	ws.Handler(newServer(), ws.Options{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/hello", http.NoBody))
	if rec.Code != http.StatusUpgradeRequired {
		log.Fatalf("status %d, want 426", rec.Code)
	}
	fmt.Println("wired")
}
