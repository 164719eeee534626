// The chat of examples/chat without a server: behind Azure Web PubSub, on Azure
// Functions, with all that it has to remember in PostgreSQL. README.md says how to
// deploy it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

func main() {
	if err := run(); err != nil {
		log.Fatal("chat: ", err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	handler, closeHub, err := newHandler()
	if err != nil {
		return err
	}
	defer closeHub()
	return webpubsub.ServeFunctions(ctx, handler)
}

const (
	hub     = "chat"    // is also the path of the channel, so that generated clients find it
	session = time.Hour // that people are signed in before they have to show who they are again
)

// newHandler puts the chat together, as the environment says: CHAT_WEBPUBSUB is the
// connection string of the service and CHAT_SECOND_KEY its other key, if there is one;
// CHAT_DATABASE is the URL of the database, CHAT_SECRET signs tokens, and CHAT_ORIGINS
// are pages that may connect, separated by spaces. It touches no network.
func newHandler() (handler http.Handler, closeHub func(), err error) {
	endpoint, key, err := webpubsub.ParseConnectionString(os.Getenv("CHAT_WEBPUBSUB"))
	if err != nil {
		return nil, nil, fmt.Errorf("CHAT_WEBPUBSUB: %w", err)
	}
	database, secret := os.Getenv("CHAT_DATABASE"), os.Getenv("CHAT_SECRET")
	if database == "" || len(secret) < 32 {
		return nil, nil, errors.New("CHAT_DATABASE is the database, and CHAT_SECRET, of at least 32 bytes, signs the tokens of all processes")
	}
	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: endpoint, Hub: hub, AccessKey: key})
	if err != nil {
		return nil, nil, err
	}
	keys := []string{key}
	if second := os.Getenv("CHAT_SECOND_KEY"); second != "" {
		keys = append(keys, second)
	}
	db, err := postgres.New(postgres.Options{URL: database}) // both the engine and the store
	if err != nil {
		return nil, nil, err
	}
	events := kanava.NewEventHub(kanava.HubOptions{Engine: db})
	tokens := chat.NewTokens(secret, session)
	srv := chat.NewServer(events, tokens, strings.Fields(os.Getenv("CHAT_ORIGINS"))...)
	mux := http.NewServeMux()
	mux.Handle("/api/webpubsub", webpubsub.Handler(srv, webpubsub.Options{Store: db, Client: client, AccessKeys: keys}))
	mux.Handle("GET /api/token", tokens)
	return mux, events.Close, nil
}
