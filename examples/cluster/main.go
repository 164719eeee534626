// The cluster example: three nodes on embedded NATS, in one command. Run it with
//
//	go run ./examples/cluster
//
// open http://localhost:3000, and kill a node.
//
// The command starts three processes of itself, the nodes, and stands in front of
// them as a load balancer. Each node is a Kanava server with a NATS server inside.
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
)

func main() {
	log.SetFlags(0)
	addr := flag.String("addr", "localhost:3000", "`address` to listen on")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Three Kanava nodes on embedded NATS, with a page on which to kill them.\n\nUsage: cluster [-addr host:port]\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if os.Getenv("KANAVA_MANIFEST") != "" {
		newServer("", nil) // says what there is, and ends
	}
	if name := os.Getenv(nodeVariable); name != "" {
		if err := runNode(name); err != nil {
			log.Fatalf("node %q: %v", name, err) //nolint:gosec // the name is quoted
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *addr, func(at net.Addr) { log.Printf("cluster: open http://%s", at) })
	stop()
	if err != nil {
		log.Fatal("cluster: ", err)
	}
}

// run runs the cluster until ctx ends; ready is called when all nodes are there.
func run(ctx context.Context, addr string, ready func(net.Addr)) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err // before any process is started
	}
	defer ln.Close()
	nodes, err := newNodes([]string{"a", "b", "c"})
	if err != nil {
		return err
	}
	defer nodes.stop()
	log.Print("cluster: starting three nodes")
	if err := nodes.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	web := &http.Server{Handler: front(nodes), ReadHeaderTimeout: 15 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(ln) }()
	ready(ln.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("cluster: shutting down")
	nodes.stop() // which ends the connections that web waits for
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := web.Shutdown(end); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
