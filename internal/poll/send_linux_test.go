package poll

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// teller is a socket that sends text when it is poked, and keeps what came of it.
type teller struct {
	*socket
	text string

	mu    sync.Mutex // guards what follows
	asked int        // how often the turn has taken it
	told  []outcome
}

type outcome struct {
	size, n int
	err     syscall.Errno
}

func (x *teller) Handle(t *Turn, e Event) {
	if e&Poked != 0 {
		x.mu.Lock()
		if t.Send(x.fd, []byte(x.text), x) {
			x.asked++
		}
		x.mu.Unlock()
	}
	x.socket.Handle(t, e)
}

func (x *teller) Sent(b []byte, n int, err syscall.Errno) {
	x.mu.Lock()
	x.told = append(x.told, outcome{len(b), n, err})
	x.mu.Unlock()
	x.events <- Writable
}

// tellers are n of them on one loop, and another socket there. Poking that pokes
// them all, so that they are handled one after the other.
func tellers(t *testing.T, n int, text func(i int) string) (list []*teller, together func()) {
	t.Helper()
	for i, s := range onOneLoop(t, n) {
		x := &teller{socket: s, text: text(i)}
		s.Become(x)
		list = append(list, x)
	}
	all := func(_ *Turn, e Event) {
		if e&Poked != 0 {
			for _, x := range list {
				x.Poke(x)
			}
		}
	}
	first := join(t, all)
	for first.loop != list[0].loop {
		first = join(t, all)
	}
	return list, func() { first.Poke(first) }
}

func needRing(t *testing.T) {
	t.Helper()
	r, err := newRing(mostSends)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.close()
}

// Each socket gets what its handler has said, whatever their number.
func TestSend(t *testing.T) {
	needRing(t)
	for _, n := range []int{2, mostSends, 3*mostSends + 5} {
		list, together := tellers(t, n, func(i int) string { return fmt.Sprintf("to %d of %d", i, n) })
		const rounds = 20
		for range rounds {
			together()
			for _, x := range list {
				x.wait(t, Poked)
			}
		}
		for i, x := range list {
			for x.mine() < x.taken() {
				x.wait(t, Writable)
			}
			want := strings.Repeat(x.text, x.taken())
			got := make([]byte, len(want))
			if _, err := io.ReadFull(reader(x.peer), got); err != nil || string(got) != want {
				t.Fatalf("socket %d got %q, %v", i, got, err)
			}
			if i == 0 && x.taken() != rounds {
				t.Errorf("the first of %d was taken %d times of %d", n, x.taken(), rounds)
			}
			for _, o := range x.told {
				if o != (outcome{len(x.text), len(x.text), 0}) {
					t.Fatalf("socket %d was told %+v", i, o)
				}
			}
		}
		if last := list[n-1]; n == 2 && last.taken() == 0 {
			t.Error("the last was left out though others wait")
		}
	}
}

func (x *teller) taken() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.asked
}

func (x *teller) mine() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.told)
}

// reader reads from a socket that does not block.
type reader int

func (r reader) Read(b []byte) (int, error) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		n, err := syscall.Read(int(r), b)
		if !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.New("nothing came")
}

// What finds no room, or no socket, is told so, and stops none of the others.
func TestSendFails(t *testing.T) {
	needRing(t)
	list, together := tellers(t, 10, func(i int) string { return strings.Repeat("x", 5000) })
	full := make([]byte, 1<<16)
	for {
		if _, err := syscall.Write(list[3].fd, full); err != nil {
			break
		}
	}
	syscall.Shutdown(list[6].fd, syscall.SHUT_WR)
	together()
	for i, x := range list[:9] {
		x.wait(t, Poked)
		for x.mine() == 0 {
			x.wait(t, Writable)
		}
		want := outcome{5000, 5000, 0}
		switch i {
		case 3:
			want = outcome{5000, 0, syscall.EAGAIN}
		case 6:
			want = outcome{5000, 0, syscall.EPIPE}
		}
		if x.told[0] != want {
			t.Errorf("socket %d was told %+v", i, x.told[0])
		}
	}
}

// A handler that blocks holds up nothing that was to be sent: what was said
// before it on the same loop goes out before anything else happens there.
func TestSendBeforeOneThatBlocks(t *testing.T) {
	needRing(t)
	list, _ := tellers(t, 4, func(i int) string { return fmt.Sprint("text ", i) })
	there := func(handle func(t *Turn)) *socket {
		for {
			s := join(t, func(turn *Turn, e Event) {
				if e&Poked != 0 {
					handle(turn)
				}
			})
			if s.loop == list[0].loop {
				return s
			}
		}
	}
	release, came := make(chan struct{}), make(chan string, len(list))
	defer close(release)
	block := there(func(turn *Turn) {
		turn.Enter()
		<-release
		turn.Leave()
	})
	next := there(func(*Turn) {
		for _, x := range list {
			got := make([]byte, 100)
			n, _ := syscall.Read(x.peer, got)
			came <- string(got[:max(n, 0)])
		}
	})
	first := there(func(*Turn) {
		for _, x := range list {
			x.Poke(x)
		}
		block.Poke(block)
		next.Poke(next)
	})
	first.Poke(first)
	for _, x := range list {
		if got := <-came; got != x.text {
			t.Errorf("got %q, want %q", got, x.text)
		}
	}
}

// What is handled after a handler that has something to send may take its time
// without holding that up for long.
func TestSendIsNotGatheredForLong(t *testing.T) {
	needRing(t)
	list, _ := tellers(t, 3, func(i int) string { return fmt.Sprint("text ", i) })
	sent := make(chan bool, 1)
	slow := handlerFunc(func(turn *Turn, _ Event) {
		for until := time.Now().Add(2 * gatherTime); time.Now().Before(until); {
		}
		turn.Send(list[1].fd, []byte("late"), list[1])
		sent <- list[0].mine() == 1
	})
	first := handlerFunc(func(*Turn, Event) {
		list[0].Poke(list[0])
		list[1].Poke(slow)
		list[2].Poke(list[2])
	})
	list[0].Poke(first)
	if !<-sent {
		t.Error("what was to be sent first waits for what takes long")
	}
}

type handlerFunc func(t *Turn, e Event)

func (f handlerFunc) Handle(t *Turn, e Event) { f(t, e) }

// A loop goes on without a ring, and with one that has failed.
func TestSendWithoutARing(t *testing.T) {
	broken, err := newRing(mostSends)
	if err != nil {
		t.Skip(err)
	}
	syscall.Close(broken.fd)
	if broken.fd, err = syscall.Open("/dev/null", syscall.O_RDONLY, 0); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*ring{"none": nil, "a broken one": broken} {
		t.Run(name, func(t *testing.T) {
			l := &loop{uring: r}
			var list []*teller
			for i := range 3 {
				x := &teller{socket: join(t, nil)}
				list = append(list, x)
				l.sends = append(l.sends, delivery{fd: x.fd, to: x, data: fmt.Append(nil, "text ", i)})
			}
			l.flush()
			for i, x := range list {
				got := make([]byte, 6)
				if _, err := io.ReadFull(reader(x.peer), got); err != nil || string(got) != fmt.Sprint("text ", i) {
					t.Errorf("got %q, %v", got, err)
				}
				if !slices.Equal(x.told, []outcome{{6, 6, 0}}) {
					t.Errorf("told %+v", x.told)
				}
			}
			if len(l.sends) > 0 || l.uring != nil {
				t.Error("it is kept")
			}
		})
	}
}
