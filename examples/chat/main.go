// The chat example: rooms, sign in, messages, jobs with progress. Run it with
//
//	go run ./examples/chat
//
// and open http://localhost:3000 in two windows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

func main() {
	addr := flag.String("addr", "localhost:3000", "`address` to listen on")
	session := flag.Duration("session", time.Hour, "how long people are signed in before they have to show who they are again")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "A chat on Kanava channels.\n\nUsage: chat [-addr host:port] [-session duration]\n\n")
		flag.PrintDefaults()
		fmt.Fprintf(flag.CommandLine.Output(), "\nKANAVA_CHAT_SECRET signs the tokens; without it they end with the process.\n")
	}
	flag.Parse()
	if err := run(*addr, chat.NewTokens(os.Getenv("KANAVA_CHAT_SECRET"), *session)); err != nil {
		log.Fatal("chat: ", err)
	}
}

// run serves the chat until it is told to stop, and then lets everybody finish.
func run(addr string, tokens *chat.Tokens) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv, handler := newServer(tokens)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, ReadHeaderTimeout: 15 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(ln) }()
	log.Printf("chat: open http://%s", ln.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("chat: shutting down")
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(srv.Shutdown(deadline), httpServer.Shutdown(deadline))
}

// newServer puts the chat together.
func newServer(tokens *chat.Tokens) (*kanava.Server[chat.User], http.Handler) {
	srv := chat.NewServer(nil, tokens)
	mux := http.NewServeMux()
	mux.Handle("/chat", ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}))
	mux.Handle("GET /token", tokens)
	mux.Handle("GET /{$}", page())
	return srv, mux
}
