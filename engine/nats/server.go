package nats

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// server is a server in this process.
type server struct {
	options *natsserver.Options
	log     *slog.Logger
	fatal   atomic.Pointer[error] // what the server could not do

	mu      sync.Mutex // guards what follows
	srv     *natsserver.Server
	scratch string // a directory to be removed at the end
	closed  bool
}

var errShut = errors.New("the server has been shut down")

// start starts the server, unless it runs, and waits until it takes connections.
func (s *server) start(closed <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errShut
	}
	if s.srv != nil {
		return nil
	}
	if s.options.StoreDir == "" {
		dir, err := os.MkdirTemp("", "kanava-nats-")
		if err != nil {
			return err
		}
		s.scratch, s.options.StoreDir = dir, dir
	}
	s.fatal.Store(nil)
	srv, err := natsserver.NewServer(s.options.Clone())
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	srv.SetLoggerV2(serverLog{s}, false, false, false)
	started := make(chan struct{})
	go func() { // ends at the latest with Shutdown: in a cluster it waits for others
		defer close(started)
		srv.Start()
	}()
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
		<-started
	}
	const turn = 50 * time.Millisecond
	for !srv.ReadyForConnections(turn) || s.fatal.Load() != nil {
		err := s.fatal.Load()
		select {
		case <-closed:
			stop()
			return errShut
		default:
		}
		if err != nil {
			stop()
			return fmt.Errorf("server: %w", *err)
		}
	}
	s.srv = srv
	return nil
}

// connect returns a connection to the server.
func (s *server) connect() (net.Conn, error) {
	s.mu.Lock()
	srv := s.srv
	s.mu.Unlock()
	if srv == nil {
		return nil, errShut
	}
	return srv.InProcessConn()
}

// close shuts the server down. What it leads it hands to others.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
		s.srv = nil
	}
	if s.scratch != "" {
		if err := os.RemoveAll(s.scratch); err != nil {
			s.log.Warn("nats: cannot remove a directory", "error", err)
		}
	}
}

// inProcess connects the client to the server without a socket.
type inProcess struct {
	*server

	unread *unread
}

// InProcessConn implements [natsgo.InProcessConnProvider].
func (p inProcess) InProcessConn() (net.Conn, error) {
	conn, err := p.connect()
	if err != nil {
		return nil, err
	}
	return heldConn{conn, p.unread}, nil
}

// serverLog tells the program's logger what the server has to say.
type serverLog struct{ *server }

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}

func (l serverLog) Warnf(format string, args ...any) {
	l.log.Warn("nats server: " + fmt.Sprintf(format, args...))
}

func (l serverLog) Errorf(format string, args ...any) {
	l.log.Error("nats server: " + fmt.Sprintf(format, args...))
}

// Fatalf is called in place of ending the process.
func (l serverLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.fatal.Store(&err)
	l.log.Error("nats server: " + err.Error())
}
