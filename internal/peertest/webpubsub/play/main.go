// Command play serves the stand-in for Azure Web PubSub on this machine, to try a
// program behind it by hand. It says what to give the program, and ends when it is
// interrupted. Anybody may connect.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where the service listens")
	upstream := flag.String("upstream", "http://127.0.0.1:8081/api/webpubsub", "where it posts events")
	key := flag.String("key", rand.Text(), "its access key")
	flag.Parse()
	if err := run(*addr, *upstream, *key); err != nil {
		log.Fatal("play: ", err)
	}
}

func run(addr, upstream, key string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	service := standin.New(standin.Options{Keys: [2]string{key, key}, Anonymous: true})
	service.SetUpstream(upstream)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("connection string: Endpoint=http://%s;AccessKey=%s;Version=1.0;\n", l.Addr(), key)
	fmt.Printf("clients: ws://%s/client/hubs/HUB\n", l.Addr())
	srv := &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		service.Close()
		_ = srv.Close()
	})
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}
