package badnet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// echo starts a server that answers each line with itself, and returns its address
// and the lines that it has got.
func echo(t *testing.T) (addr string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					lines <- s.Text()
					io.WriteString(c, s.Text()+"\n")
				}
			}()
		}
	}()
	return l.Addr().String(), lines
}

// client is a connection through a network.
type client struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, n *Network) *client {
	t.Helper()
	c, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// say sends a line, and returns what comes within a time.
func (c *client) say(line string, within time.Duration) (string, error) {
	c.Helper()
	if _, err := io.WriteString(c.Conn, line+"\n"); err != nil {
		return "", err
	}
	return c.hear(within)
}

func (c *client) hear(within time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(within))
	answer, err := c.r.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// works demands that a new connection is answered.
func works(t *testing.T, n *Network) *client {
	t.Helper()
	c := dial(t, n)
	if got, err := c.say("hello", time.Minute); got != "hello" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	return c
}

const moment = 50 * time.Millisecond // in which nothing comes

// What does not come through is not lost: it comes when the network works again.
func TestHoleAndDeaf(t *testing.T) {
	for name, tt := range map[string]struct {
		fault   Fault
		arrives bool // the server gets it
	}{
		"hole": {Fault{Hole: true}, false},
		"deaf": {Fault{Deaf: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			addr, lines := echo(t)
			n := To(t, addr)
			c := works(t, n)
			<-lines
			n.Fail(tt.fault)
			if got, err := c.say("kept", moment); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %q, %v", got, err)
			}
			if tt.arrives {
				if got := <-lines; got != "kept" {
					t.Errorf("the server got %q", got)
				}
			} else if len(lines) > 0 {
				t.Errorf("the server got %q", <-lines)
			}
			n.Heal()
			if got, err := c.hear(time.Minute); got != "kept" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// A cut ends what there is, and what comes, until it is healed.
func TestCut(t *testing.T) {
	addr, _ := echo(t)
	n := To(t, addr)
	c := works(t, n)
	n.Fail(Fault{Cut: true})
	if got, err := c.hear(time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", got, err)
	}
	if got, err := dial(t, n).say("hello", time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection got %q, %v, want the end", got, err)
	}
	n.Heal()
	works(t, n)
}

func TestPause(t *testing.T) {
	addr, _ := echo(t)
	n := To(t, addr)
	c := works(t, n)
	n.Fail(Fault{Pause: moment})
	begun := time.Now()
	if got, err := c.say("late", time.Minute); got != "late" || err != nil || time.Since(begun) < 2*moment {
		t.Errorf("got %q, %v after %v, which takes %v each way", got, err, time.Since(begun), moment)
	}
}

// The server gets the request, and the client the end in the place of an answer;
// other connections, and other requests, go on.
func TestLoseAnswer(t *testing.T) {
	addr, lines := echo(t)
	n := To(t, addr)
	c, other := works(t, n), works(t, n)
	<-lines
	<-lines
	lost := n.LoseAnswer("dear")
	if got, err := c.say("cheap", time.Minute); got != "cheap" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	<-lines
	if lost() {
		t.Error("an answer was lost before its request")
	}
	if got, err := c.say("dear", time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", got, err)
	}
	if got := <-lines; got != "dear" {
		t.Errorf("the server got %q", got)
	}
	if !lost() {
		t.Error("no answer was lost")
	}
	if got, err := other.say("dear", time.Minute); got != "dear" || err != nil {
		t.Errorf("the next got %q, %v", got, err)
	}
}

// What is to happen happens when the server has answered, and before the client
// knows that it will not hear of it.
func TestLoseAnswerAfter(t *testing.T) {
	addr, lines := echo(t)
	n := To(t, addr)
	c, other := works(t, n), works(t, n)
	<-lines
	<-lines
	happened := make(chan string, 1)
	n.LoseAnswerAfter("dear", func() {
		got, err := other.say("between", time.Minute)
		if err != nil {
			t.Error(err)
		}
		happened <- <-lines + ", " + got
	})
	if got, err := c.say("dear", time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", got, err)
	}
	select {
	case got := <-happened:
		if got != "dear, between" {
			t.Errorf("%q happened before", got)
		}
	default:
		t.Error("nothing has happened before")
	}
}
