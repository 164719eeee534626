package poll

import (
	"bytes"
	"errors"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socket is a member of a loop that tells a test what it is told.
type socket struct {
	Place
	fd     int
	peer   int // the other end
	events chan Event
	handle func(t *Turn, e Event) // in place of telling; may be nil

	mu  sync.Mutex
	got bytes.Buffer // guarded by mu: what was received
}

func (s *socket) Handle(t *Turn, e Event) {
	if s.handle != nil {
		s.handle(t, e)
		return
	}
	if e&Readable != 0 {
		s.mu.Lock()
		for {
			n, err := syscall.Read(s.fd, t.Buffer[:16])
			if n <= 0 || err != nil {
				break
			}
			s.got.Write(t.Buffer[:n])
		}
		s.mu.Unlock()
	}
	s.events <- e
}

func join(t *testing.T, handle func(t *Turn, e Event)) *socket {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{fd: pair[0], peer: pair[1], events: make(chan Event, 100), handle: handle}
	if err := s.Join(s.fd, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Leave()
		syscall.Close(s.fd)
		syscall.Close(s.peer)
	})
	return s
}

func (s *socket) say(t *testing.T, text string) {
	t.Helper()
	if _, err := syscall.Write(s.peer, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// wait returns when all of the bits have come since it was called last.
func (s *socket) wait(t *testing.T, bits Event) {
	t.Helper()
	late := time.After(20 * time.Second)
	for came := Event(0); came&bits != bits; {
		select {
		case e := <-s.events:
			came |= e
		case <-late:
			t.Fatalf("events %b within 20 s, want %b", came, bits)
		}
	}
}

// onOneLoop makes sockets that share a loop.
func onOneLoop(t *testing.T, n int) []*socket {
	t.Helper()
	var list []*socket
	for range n {
		s := join(t, nil)
		for len(list) > 0 && s.loop != list[0].loop {
			s = join(t, nil)
		}
		list = append(list, s)
	}
	return list
}

func TestSocketIsToldWhatComes(t *testing.T) {
	s := join(t, nil)
	for _, text := range []string{"one", "two", strings.Repeat("long", 10)} {
		s.say(t, text)
		s.wait(t, Readable)
	}
	syscall.Shutdown(s.peer, syscall.SHUT_WR)
	s.wait(t, Hangup)
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := s.got.String(), "onetwo"+strings.Repeat("long", 10); got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

func TestSocketIsToldOfRoom(t *testing.T) {
	s := join(t, nil)
	full := make([]byte, 1<<16)
	for {
		if _, err := syscall.Write(s.fd, full); err != nil {
			break
		}
	}
	s.Poke(s)
	s.wait(t, Poked) // and it has been told by now that there was room at first
	for {
		if n, err := syscall.Read(s.peer, full); n <= 0 || err != nil {
			break
		}
	}
	s.wait(t, Writable)
}

func TestPoke(t *testing.T) {
	s := join(t, nil)
	for range 100 {
		s.Poke(s)
		s.wait(t, Poked)
	}
}

func TestAfter(t *testing.T) {
	s := join(t, nil)
	s.After(time.Hour)
	began := time.Now()
	s.After(50 * time.Millisecond) // wakes a loop that would sleep for longer
	s.wait(t, Due)
	if d := time.Since(began); d < 50*time.Millisecond {
		t.Errorf("due after %v", d)
	}
	s.After(10 * time.Millisecond)
	s.After(-1) // not at all
	other := onOneLoop(t, 1)[0]
	for other.loop != s.loop {
		other = join(t, nil)
	}
	other.After(100 * time.Millisecond)
	other.wait(t, Due)
	for len(s.events) > 0 {
		if e := <-s.events; e&Due != 0 {
			t.Error("due after it was taken back")
		}
	}
}

// A handler that blocks for ever holds up none of the others on its loop, and
// what was left of its batch is done.
func TestOneThatBlocksHoldsUpNobody(t *testing.T) {
	others := onOneLoop(t, 10)
	release, mine := make(chan struct{}), make(chan bool, 1)
	blocked := func(turn *Turn, e Event) {
		if e&Poked == 0 {
			return
		}
		turn.Enter()
		<-release
		mine <- turn.Leave()
	}
	s := join(t, blocked)
	for s.loop != others[0].loop {
		s = join(t, blocked)
	}
	s.Poke(s)
	for round := range 3 {
		for _, o := range others {
			o.say(t, "x")
			o.Poke(o)
		}
		for _, o := range others {
			o.wait(t, Readable|Poked)
		}
		if round == 1 {
			close(release)
			if <-mine {
				t.Error("the loop has waited for a handler that blocked")
			}
		}
	}
}

// A handler that is quick keeps its loop.
func TestOneThatIsQuickKeepsItsLoop(t *testing.T) {
	kept := make(chan bool, 1)
	s := join(t, func(turn *Turn, e Event) {
		if e&Poked != 0 {
			turn.Enter()
			kept <- turn.Mine()
			turn.Leave()
		}
	})
	lost := 0
	for range 1000 {
		s.Poke(s)
		if !<-kept {
			lost++
		}
	}
	if lost > 100 { // the scheduler may keep a goroutine from running for a while
		t.Errorf("the loop was lost %d times of 1000", lost)
	}
}

// Code that ends its goroutine does not end the loop.
func TestGoexit(t *testing.T) {
	others := onOneLoop(t, 1)
	exit := func(turn *Turn, e Event) {
		if e&Poked != 0 {
			turn.Enter()
			defer turn.Leave()
			runtime.Goexit()
		}
	}
	s := join(t, exit)
	for s.loop != others[0].loop {
		s = join(t, exit)
	}
	for range 3 {
		s.Poke(s)
		others[0].Poke(others[0])
		others[0].wait(t, Poked)
	}
}

// Many goroutines poke and set times while sockets come and go.
func TestChurn(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
				if err != nil {
					t.Error(err)
					return
				}
				s := &socket{fd: pair[0], peer: pair[1], events: make(chan Event, 100)}
				if err := s.Join(s.fd, s); err != nil {
					t.Error(err)
					return
				}
				s.After(time.Millisecond)
				s.Poke(s)
				s.wait(t, Poked)
				s.Leave()
				s.After(time.Millisecond) // too late, and harmless
				syscall.Close(pair[0])
				syscall.Close(pair[1])
			}
		})
	}
	wg.Wait()
}

// A listening socket wakes one loop, and the others can be poked.
func TestListenerHasAPlaceOnEachLoop(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	var all []*socket
	if err := JoinAll(fd, func() (*Place, Handler) {
		s := &socket{events: make(chan Event, 100)}
		s.handle = func(_ *Turn, e Event) { s.events <- e }
		all = append(all, s)
		return &s.Place, s
	}); err != nil {
		t.Fatal(err)
	}
	loops := map[*loop]bool{}
	for _, s := range all {
		defer s.Leave()
		loops[s.loop] = true
	}
	if len(loops) != len(all) || len(all) != runtime.GOMAXPROCS(0) {
		t.Fatalf("%d places on %d loops", len(all), len(loops))
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	all[0].wait(t, Readable)
	for _, s := range all {
		s.Poke(s)
		s.wait(t, Poked)
		if len(s.events) > 0 {
			t.Errorf("a loop that nobody has called is told %b", <-s.events)
		}
	}
}
