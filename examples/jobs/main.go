// The jobs example: one function tells the progress of a job over WebSocket,
// server-sent events and HTTP. Run it with
//
//	go run ./examples/jobs
//
// and open http://localhost:3000, or see README.md for curl.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/examples/internal/onepage"
	"github.com/kanava-go/kanava/transport/httpfunc"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

func main() {
	addr := flag.String("addr", "localhost:3000", "`address` to listen on")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal("jobs: ", err)
	}
}

// run serves until it is told to stop. Jobs end first, so that those who watch
// them see it.
func run(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv, jobs, handler := newServer()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, ReadHeaderTimeout: 15 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(ln) }()
	log.Printf("jobs: open http://%s", ln.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("jobs: shutting down")
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	jobs.Close()
	return errors.Join(srv.Shutdown(deadline), httpServer.Shutdown(deadline))
}

// newServer puts the example together.
func newServer() (*kanava.Server[kanava.None], *Jobs, http.Handler) {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	jobs := NewJobs(srv.EventHub())
	app := &App{jobs}
	app.wire(srv)

	mux := http.NewServeMux()
	mux.Handle("/live", ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}))
	mux.Handle("/jobs", httpfunc.Handler(srv, httpfunc.Options{}))
	mux.Handle("/jobs/", httpfunc.Handler(srv, httpfunc.Options{}))
	mux.Handle("GET /{$}", page())
	return srv, jobs, mux
}

//go:embed page
var pageFiles embed.FS

func page() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	return onepage.Handler(files, "kanava.js", "wires.js", "jobs.js")
}
