//go:build !386

package ws

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
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
	a, err := newAcceptors(f, func(a *acceptor, fd int, from netip.AddrPort) {
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
