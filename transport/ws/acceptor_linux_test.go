//go:build !386

package ws

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/poll"
)

// Where many connections wait the loops take them together: one of them that is
// held up holds up nobody.
func TestAcceptorsHelpEachOther(t *testing.T) {
	const waiting = 10 * acceptAtOnce
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for range waiting {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	var (
		mu    sync.Mutex
		took  = make(map[int]int) // guarded by mu: how many connections each acceptor has taken
		total int                 // guarded by mu
		all   = make(chan struct{})
	)
	a, err := newAcceptors(f, func(a *acceptor, fd int, from netip.AddrPort) poll.Handler {
		syscall.Close(fd)
		if !from.Addr().IsLoopback() || from.Port() == 0 {
			t.Errorf("a connection comes from %v", from)
		}
		mu.Lock()
		took[a.index]++
		total++
		held := a.index == 0 && took[0] > acceptAtOnce && len(a.all) > 1
		if total == waiting {
			close(all)
		}
		mu.Unlock()
		if held {
			<-all
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-all
	mu.Lock()
	if len(a.all) > 1 && took[0] > acceptAtOnce+1 {
		t.Errorf("the acceptors have taken %v: the first one alone", took)
	}
	mu.Unlock()
	a.Close()
	<-a.over
}

// An acceptor that can have no descriptor tries again when it can.
func TestAcceptorsWaitForDescriptors(t *testing.T) {
	addr := listen(t, NewServer(newEcho(t), Options{}))
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := io.WriteString(first, request()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 12)); err != nil { // the loops are running now
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(addr)
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(s)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	err = syscall.Connect(s, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err2 := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if _, err := syscall.Write(s, []byte(request())); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := syscall.Read(s, answer); err != nil || string(answer) != "HTTP/1.1 101" {
		t.Errorf("answered %q, %v", answer, err)
	}
}

// A client whose authentication blocks holds up none of those that were accepted
// together with it.
func TestAcceptorsAnswerBesideOneThatBlocks(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := kanava.NewServer(kanava.Options[kanava.None]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*kanava.None, error) {
			if r.Token == "slow" {
				close(entered)
				<-release
			}
			return nil, nil
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "echo", Route: "/echo", Public: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var clients []net.Conn
	for i := range 3 * acceptAtOnce { // all of them wait when the server begins
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		said := request()
		if i == acceptAtOnce/2 {
			said = request("Authorization", "Bearer slow")
		}
		if _, err := io.WriteString(nc, said); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, nc)
	}
	s, over := NewServer(srv, Options{}), make(chan error, 1)
	go func() { over <- s.Serve(l) }()
	<-entered
	answered := func(i int) {
		answer := make([]byte, 12)
		_ = clients[i].SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(clients[i], answer); err != nil || string(answer) != "HTTP/1.1 101" {
			t.Errorf("client %d is answered %q, %v", i, answer, err)
		}
	}
	for i := range clients {
		if i != acceptAtOnce/2 {
			answered(i)
		}
	}
	close(release)
	answered(acceptAtOnce / 2)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	for _, nc := range clients {
		nc.Close()
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
