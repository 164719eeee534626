package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kanava-go/kanava/engine/nats"
)

// This file is one node: a process of its own.

// nodeVariable names the node in the environment of its process.
const nodeVariable = "KANAVA_CLUSTER_NODE"

// nodeConfig is what a node reads from its standard input first. The end of that
// is the end of the node: a node does not outlive who has started it.
type nodeConfig struct {
	Web    string   `json:"web"` // address for clients
	Nats   string   `json:"nats"`
	Peers  []string `json:"peers"`
	Secret string   `json:"secret"`
	Dir    string   `json:"dir"`
}

func runNode(name string) error {
	in := json.NewDecoder(os.Stdin)
	var c nodeConfig
	if err := in.Decode(&c); err != nil {
		return fmt.Errorf("a node is started by the cluster: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(os.Interrupt) // of the terminal: the cluster says when to end
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	e, err := nats.Embedded(nats.EmbeddedOptions{
		Dir:     c.Dir,
		Cluster: &nats.Cluster{Server: name, Listen: c.Nats, Peers: c.Peers, Secret: c.Secret},
		Keep:    nats.Keeping{Replicas: 3},
		Logger:  slog.New(slog.DiscardHandler), // peers that are away are nothing special here
	})
	if err != nil {
		return err
	}
	app, srv, handler := newServer(name, e)
	ln, err := net.Listen("tcp", c.Web)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/visit", handler)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.EventHub().Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 15 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(ln) }()
	go app.tick(ctx)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(srv.Shutdown(end), web.Shutdown(end))
	srv.EventHub().Close()
	return err
}
