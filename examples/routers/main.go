// The routers example: one Kanava channel behind the router of your choice. In
// the root of the repository, run
//
//	go run ./examples/routers -router chi
//
// and connect with npx wscat -c 'ws://localhost:3000/rooms/general?name=Ada'.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kanava-go/kanava/transport/ws"
)

// routers put the handler of the channels, and a page of their own at
// /healthz, on a router.
var routers = map[string]func(channels http.Handler) http.Handler{
	"http": onHTTP,
	"chi":  onChi,
	"gin":  onGin,
	"echo": onEcho,
}

func main() {
	addr := flag.String("addr", "localhost:3000", "`address` to listen on")
	router := flag.String("router", "http", "one of "+strings.Join(slices.Sorted(maps.Keys(routers)), ", "))
	flag.Parse()
	if err := run(*addr, *router); err != nil {
		log.Fatal("routers: ", err)
	}
}

func run(addr, router string) error {
	on, ok := routers[router]
	if !ok {
		return fmt.Errorf("there is no router %q", router)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("routers: %s listens on http://%s", router, ln.Addr())
	return serve(ctx, ln, on)
}

// serve serves until ctx ends, and then lets everybody finish: first the
// channels, of which http.Server does not know, then the rest.
func serve(ctx context.Context, ln net.Listener, on func(http.Handler) http.Handler) error {
	srv := newServer()
	httpServer := &http.Server{Handler: on(ws.Handler(srv, ws.Options{})), ReadHeaderTimeout: 15 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(ln) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(srv.Shutdown(deadline), httpServer.Shutdown(deadline))
}
