package ws

import (
	"flag"
	"net"
	"os"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
)

// programs are what this one is in place of its tests where the environment says
// so: the other process of a test that needs two.
var programs = map[string]func() error{}

const programName = "KANAVA_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if other := programs[os.Getenv(programName)]; other != nil {
		if err := other(); err != nil {
			panic(err)
		}
		return
	}
	_ = flag.Set("test.parallel", parallel) // a flag of the command line wins
	goleak.VerifyTestMain(m)
}

// fakeLink stands for the core: it keeps what it is given and hands out what
// the test puts into its outbox, with the promises of kanava.Peer.
type fakeLink struct {
	peer    *conn
	receive func(data []byte, binary bool) (more bool) // nil: keep, and what full says
	isFull  func() bool                                // nil: what full says
	work    func(kanava.Host)                          // what is to be done for each message; nil: nothing
	alive   []byte                                     // what KeepAlive returns
	start   func()                                     // what Start does; nil: nothing

	mu      sync.Mutex // guards what follows
	got     []string   // messages; those in binary begin with "bin:"
	out     []kanava.Frame
	awake   bool
	full    bool
	closing *kanava.Closing
	takes   int // batches that were taken
	charged int
	ended   chan kanava.Closing
}

func (l *fakeLink) Limits() kanava.Limits { return kanava.Limits{Message: 64 << 10} }

func (l *fakeLink) Start() {
	if l.start != nil {
		l.start()
	}
}

func (l *fakeLink) Charge(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.charged += n
}

func (l *fakeLink) Accept(data []byte, binary bool) (more, work bool) {
	return l.take(data, binary), l.work != nil
}

func (l *fakeLink) Work(host kanava.Host) { l.work(host) }

func (l *fakeLink) take(data []byte, binary bool) bool {
	if l.receive != nil {
		return l.receive(data, binary)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := string(data)
	if binary {
		s = "bin:" + s
	}
	l.got = append(l.got, s)
	return !l.full
}

func (l *fakeLink) Full() bool {
	if l.isFull != nil {
		return l.isFull()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

func (l *fakeLink) setFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.full
	l.full = full
	if was && !full {
		l.peer.Wake()
	}
}

func (l *fakeLink) Take(batch []kanava.Frame, maxBytes int) ([]kanava.Frame, *kanava.Closing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, had := 0, len(batch)
	for len(l.out) > 0 && (n == 0 || n+len(l.out[0].Data) <= maxBytes) {
		n += len(l.out[0].Data)
		batch = append(batch, l.out[0])
		l.out = l.out[1:]
	}
	if len(batch) > had {
		l.takes++
		return batch, nil
	}
	l.awake = false
	return batch, l.closing
}

func (l *fakeLink) KeepAlive() []byte { return l.alive }

func (l *fakeLink) Closing() *kanava.Closing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.out) > 0 {
		return nil
	}
	return l.closing
}

func (l *fakeLink) Disconnect(code kanava.CloseCode, reason string) {
	l.ended <- kanava.Closing{Code: code, Reason: reason}
}

// send puts frames into the outbox.
func (l *fakeLink) send(frames ...kanava.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = append(l.out, frames...)
	l.rouse()
}

// close closes as the core does for a client that reads too slowly.
func (l *fakeLink) close(code kanava.CloseCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := closing(code)
	l.out, l.closing = nil, &c
	l.rouse()
}

func (l *fakeLink) rouse() {
	if !l.awake {
		l.awake = true
		l.peer.Wake()
	}
}

// messages returns what was received so far.
func (l *fakeLink) messages() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func textFrame(s string) kanava.Frame { return kanava.Frame{Data: []byte(s)} }

// newLink returns a connection that is not begun, with its link.
func newLink(o Options) *fakeLink {
	l := &fakeLink{ended: make(chan kanava.Closing, 2)}
	l.peer = newConn(newHandler(nil, o))
	return l
}

// connect begins a connection over a pipe, whose writes block until the other
// side reads.
func connect(t *testing.T, o Options) (*fakeLink, *client) {
	t.Helper()
	l := newLink(o)
	server, nc := net.Pipe()
	l.peer.begin(server, l, nil)
	return l, newClient(t, nc)
}

// connectTCP begins a connection over a loopback socket.
func connectTCP(t *testing.T, o Options) (*fakeLink, *client) {
	t.Helper()
	return connectSocket(t, newLink(o))
}

// connectSocket begins the connection of a link over a loopback socket.
func connectSocket(t *testing.T, l *fakeLink) (*fakeLink, *client) {
	t.Helper()
	server, nc := tcpPair(t)
	l.peer.begin(server, l, nil)
	return l, newClient(t, nc)
}

// wires are the ways to move the bytes of a socket: as the system does it best,
// and with goroutines, as is done everywhere.
var wires = map[string]func(l *fakeLink){
	"as it comes": func(*fakeLink) {},
	"goroutines":  func(l *fakeLink) { l.peer.h.stream = true },
}

func tcpPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// wantEnd waits for the end of the connection.
func wantEnd(t *testing.T, l *fakeLink, want kanava.Closing) {
	t.Helper()
	if got := <-l.ended; got != want {
		t.Errorf("the link is told %v, want %v", got, want)
	}
}

func wantMessages(t *testing.T, l *fakeLink, want ...string) {
	t.Helper()
	if got := l.messages(); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}
