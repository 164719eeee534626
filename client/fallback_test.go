package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// obstacle is what is between a client and its server. Its answer is for
// whoever asks for a WebSocket or a stream of events; nil lets the request
// through to the server.
type obstacle func(req *http.Request) (*http.Response, error)

func says(status int, text string) obstacle {
	return func(*http.Request) (*http.Response, error) {
		return answer(status, http.Header{"Retry-After": {"7"}}, readCloser{strings.NewReader(text)}), nil
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func hangs(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func fails(err error) obstacle {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// terrain is a client, and a server behind obstacles that a test sets.
type terrain struct {
	t      *testing.T
	conn   *Conn
	server *wired

	mu     sync.Mutex
	block  map[Transport]obstacle // guarded by mu
	asked  []Transport            // guarded by mu: what the client has tried since it was looked at
	random atomic.Int64           // per cent
}

func newTerrain(t *testing.T, block map[Transport]obstacle, change func(*settings)) *terrain {
	w := &terrain{t: t, block: block}
	w.random.Store(100)
	w.server = &wired{on: func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Kanava-Up") != "" {
			return nil, nil
		}
		by := WebSocket
		if req.Method == http.MethodPost {
			by = ServerSentEvents
		}
		w.mu.Lock()
		w.asked = append(w.asked, by)
		o := w.block[by]
		w.mu.Unlock()
		if o == nil {
			return nil, nil
		}
		return o(req)
	}}
	s := settings{timeout: 10 * time.Second, queue: 64, random: func() float64 { return float64(w.random.Load()) / 100 }}
	w.server.settings(&s, "")
	if change != nil {
		change(&s)
	}
	w.conn = newConn(Spec{}, s)
	t.Cleanup(func() {
		w.conn.Close()
		<-w.conn.Done()
		if n := w.server.open(); n > 0 || len(w.conn.timers) > 0 {
			t.Errorf("after Close: %d connections, timers %v", n, w.conn.timers)
		}
	})
	w.conn.start()
	synctest.Wait()
	return w
}

// set changes what is in the way.
func (w *terrain) set(by Transport, o obstacle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.block == nil {
		w.block = map[Transport]obstacle{}
	}
	w.block[by] = o
}

// pass lets time go by.
func (w *terrain) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// tried checks what the client has tried since it was asked last.
func (w *terrain) tried(want ...Transport) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.asked, want) {
		w.t.Fatalf("tried %v, want %v; %+v", w.asked, want, w.conn.State())
	}
	w.asked = nil
}

// opens makes the next connection an open one.
func (w *terrain) opens(by Transport) *wiredLink {
	w.t.Helper()
	l := w.accepts()
	l.text(openFrame)
	l.text(`{"push":""}`)
	synctest.Wait()
	if s := w.conn.State(); s.Phase != Open || s.Transport != by {
		w.t.Fatalf("%+v", s)
	}
	return l
}

func (w *terrain) accepts() *wiredLink {
	w.t.Helper()
	l := w.server.next()
	if l == nil {
		w.t.Fatalf("there is no connection: %+v", w.conn.State())
	}
	l.accept()
	synctest.Wait()
	if hello := l.next(); hello == nil || !strings.HasPrefix(string(hello.data), `{"hello":`) {
		w.t.Fatalf("no hello, but %v", hello)
	}
	return l
}

func (w *terrain) phase(want Phase) State {
	w.t.Helper()
	s := w.conn.State()
	if s.Phase != want {
		w.t.Fatalf("%+v, want %s", s, want)
	}
	return s
}

// What lets no WebSocket through, and does not say that it is the server, makes
// the same try go on with server-sent events.
func TestFallbackGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		block obstacle
		after time.Duration
	}{
		"426":            {says(http.StatusUpgradeRequired, ""), 0},
		"400":            {says(http.StatusBadRequest, "<html>"), 0},
		"200":            {says(http.StatusOK, "<html>welcome to our portal"), 0},
		"503 of a proxy": {says(http.StatusServiceUnavailable, "busy"), 0},
		"cut":            {fails(syscall.ECONNRESET), 0},
		"never answers":  {hangs, turnTime},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newTerrain(t, map[Transport]obstacle{WebSocket: tt.block}, nil)
				if tt.after > 0 {
					w.pass(tt.after - 1)
					w.tried(WebSocket)
					w.pass(1)
					w.tried(ServerSentEvents)
				}
				w.opens(ServerSentEvents)
			})
		})
	}
}

// A proxy that lets the handshake through and cuts then is one, too; one that
// brings nothing any more is found out when the try is over.
func TestFallbackAfterHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, nil, nil)
		w.accepts().drop(CloseLost)
		synctest.Wait()
		w.tried(WebSocket, ServerSentEvents)
		w.opens(ServerSentEvents)
	})
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, nil, nil)
		w.accepts()
		w.pass(greetTime - 1)
		w.tried(WebSocket)
		w.pass(1)
		w.phase(Waiting)
		w.pass(backOff)
		w.tried(ServerSentEvents)
		w.opens(ServerSentEvents)
	})
}

// A server that says something on a WebSocket has been heard, open or not.
func TestFallbackHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, nil, nil)
		l := w.accepts()
		l.text(`{"re":0,"err":{"code":"internal","message":"the database is down"}}`)
		l.drop(CloseLost)
		synctest.Wait()
		if s := w.phase(Waiting); s.Reason != "the database is down" {
			t.Errorf("%+v", s)
		}
		w.tried(WebSocket)
	})
}

// Where the client sees why there is no WebSocket, nothing else would help.
func TestFallbackNot(t *testing.T) {
	for name, tt := range map[string]struct {
		block obstacle
		wait  time.Duration
	}{
		"refused by the machine": {fails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), backOff},
		"the server's error":     {says(http.StatusServiceUnavailable, `{"error":{"code":"unavailable","message":"shutting down"}}`), 7*time.Second + backOff},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newTerrain(t, map[Transport]obstacle{WebSocket: tt.block}, nil)
				s := w.phase(Waiting)
				w.tried(WebSocket)
				w.pass(time.Until(s.Next))
				w.tried(WebSocket)
				w.pass(time.Minute)
				if slices.Contains(w.asked, ServerSentEvents) {
					t.Errorf("tried %v", w.asked)
				}
			})
		})
	}
}

// Whoever has had a WebSocket thinks first that the server is away.
func TestFallbackOfTheProven(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, nil, nil)
		l := w.opens(WebSocket)
		w.tried(WebSocket)
		w.set(WebSocket, hangs)
		l.drop(CloseLost)
		synctest.Wait()
		w.pass(backOff + turnTime)
		w.tried(WebSocket)
		w.pass(greetTime - turnTime)
		w.phase(Waiting)
		w.pass(2 * backOff)
		w.tried(WebSocket)
		w.pass(turnTime)
		w.tried(ServerSentEvents)
		l = w.opens(ServerSentEvents)

		// The next time that it has had a connection it is patient again.
		w.set(WebSocket, nil)
		l.drop(CloseLost)
		w.set(ServerSentEvents, says(http.StatusBadGateway, ""))
		synctest.Wait()
		w.pass(time.Until(w.conn.State().Next) + time.Second)
		w.tried(ServerSentEvents, WebSocket)
		w.opens(WebSocket)
	})
}

// Server-sent events that worked are tried first for ten minutes, and a try
// that begins so goes on with a WebSocket.
func TestFallbackStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		w.random.Store(0)
		w.opens(ServerSentEvents).drop(CloseLost)
		w.pass(0)
		w.tried(WebSocket, ServerSentEvents, ServerSentEvents)
		l := w.opens(ServerSentEvents)

		w.set(ServerSentEvents, hangs)
		w.set(WebSocket, nil)
		l.drop(CloseLost)
		w.pass(turnTime)
		w.tried(ServerSentEvents, WebSocket)
		l = w.opens(WebSocket)
		l.drop(CloseLost)
		w.pass(0)
		w.tried(WebSocket)
		w.opens(WebSocket)
	})
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		l := w.opens(ServerSentEvents)
		w.tried(WebSocket, ServerSentEvents)
		w.random.Store(0)
		l.text(`{"away":{"code":4503,"in":[600000,600000]}}`)
		w.pass(stayTime - 1)
		w.tried()
		l.drop(CloseLost)
		synctest.Wait()
		w.pass(1)
		w.tried(ServerSentEvents) // ten minutes after the connection has ended, not after it has begun
	})
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		l := w.opens(ServerSentEvents)
		w.tried(WebSocket, ServerSentEvents)
		w.random.Store(0)
		l.text(`{"away":{"code":4503,"in":[700000,700000]}}`)
		l.drop(CloseLost)
		w.pass(700 * time.Second)
		w.tried(WebSocket, ServerSentEvents)
	})
}

// Both transports together have the time of one try.
func TestFallbackTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: hangs, ServerSentEvents: hangs}, nil)
		w.pass(greetTime - 1)
		w.phase(Connecting)
		w.tried(WebSocket, ServerSentEvents)
		w.pass(1)
		if s := w.phase(Waiting); time.Until(s.Next) != backOff {
			t.Errorf("one try has counted as more: %+v", s)
		}
	})
}

// What the last transport was told ends the try.
func TestFallbackReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{
			WebSocket: says(400, ""), ServerSentEvents: says(429, `{"error":{"code":"resource_exhausted","message":"too many connections"}}`),
		}, nil)
		s := w.phase(Waiting)
		if !strings.Contains(s.Reason, "too many connections") || time.Until(s.Next) != 7*time.Second+backOff {
			t.Errorf("%+v", s)
		}
	})
}

// Only one transport is only that one.
func TestFallbackOnly(t *testing.T) {
	for _, only := range []Transport{WebSocket, ServerSentEvents} {
		bubble(t, func(t *testing.T) {
			w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, ""), ServerSentEvents: says(400, "")}, func(s *settings) {
				if only == WebSocket {
					s.events = nil
				} else {
					s.webSocket, s.probe = nil, nil
				}
			})
			w.tried(only)
			w.set(only, nil)
			w.pass(7*time.Second + backOff)
			w.tried(only)
			w.opens(only)
			w.pass(time.Hour) // nothing is probed; the server is silent
			if slices.ContainsFunc(w.asked, func(by Transport) bool { return by != only }) {
				t.Errorf("tried %v", w.asked)
			}
		})
	}
}

// quiet keeps a connection open.
func quiet(l *wiredLink, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), 20*time.Second))
		l.text(`{}`)
		synctest.Wait()
		for l.next() != nil {
		}
	}
}

// While events flow the client looks by and by whether a WebSocket opens, and
// comes back with one: what runs may end first, and what is new waits.
func TestFallbackComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		w.random.Store(50)
		l := w.opens(ServerSentEvents)
		w.tried(WebSocket, ServerSentEvents)
		quiet(l, probeTime*3/2-1)
		w.tried()
		quiet(l, 1)
		w.tried(WebSocket)
		w.phase(Open)
		w.set(WebSocket, nil)
		quiet(l, probeTime*3/2)
		w.tried(WebSocket)
		result := make(chan error, 1)
		go func() { result <- Do(context.Background(), w.conn, "", "x", nil) }()
		synctest.Wait()
		if m := l.next(); m == nil || string(m.data) != `{"id":1,"do":"x"}` {
			t.Fatalf("sent %v", m)
		}
		probe := w.server.next()
		probe.accept()
		synctest.Wait()
		if m := probe.next(); m != nil || !probe.isClosed() {
			t.Errorf("a probe says %v, and is closed: %v", m, probe.isClosed())
		}
		s := w.phase(Leaving)
		if s.Code != 0 || s.Transport != ServerSentEvents || time.Until(s.Next) != comeBackMax/2 {
			t.Errorf("%+v", s)
		}
		late := make(chan error, 1)
		go func() { late <- Do(context.Background(), w.conn, "", "late", nil) }()
		w.pass(comeBackMax / 2)
		w.phase(Leaving) // the call runs
		l.text(`{"re":1}`)
		w.pass(0)
		if err := <-result; err != nil {
			t.Error(err)
		}
		w.tried(WebSocket)
		l = w.opens(WebSocket)
		if m := l.next(); m == nil || string(m.data) != `{"id":1,"do":"late"}` {
			t.Fatalf("sent %v", m)
		}
		l.text(`{"re":1}`)
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
}

// A WebSocket that opens and carries nothing is none to come back to, and one
// that fails after all is followed by server-sent events.
func TestFallbackStaysAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		w.random.Store(0)
		l := w.opens(ServerSentEvents)
		w.tried(WebSocket, ServerSentEvents)
		w.set(WebSocket, nil)
		quiet(l, probeTime)
		deaf := w.server.next()
		deaf.ended = true // it answers nothing
		deaf.accept()
		quiet(l, turnTime)
		w.phase(Open)
		if !deaf.isClosed() {
			t.Error("the probe stays open")
		}
		quiet(l, probeTime)
		w.set(WebSocket, says(400, ""))
		w.server.next().accept()
		w.pass(0)
		w.tried(WebSocket, WebSocket, WebSocket, ServerSentEvents)
		w.opens(ServerSentEvents)
	})
}

// Whoever leaves anyway does not probe, and a probe ends with its connection.
func TestFallbackProbeEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newTerrain(t, map[Transport]obstacle{WebSocket: says(400, "")}, nil)
		w.random.Store(0)
		w.random.Store(0)
		l := w.opens(ServerSentEvents)
		w.tried(WebSocket, ServerSentEvents)
		w.set(WebSocket, hangs)
		quiet(l, probeTime)
		w.tried(WebSocket)
		l.text(`{"away":{"code":4503,"in":[1000,2000]}}`)
		w.pass(time.Second)
		w.tried(ServerSentEvents)
		w.opens(ServerSentEvents)
	})
}

func TestUnreachable(t *testing.T) {
	for err, want := range map[error]bool{
		&net.OpError{Op: "dial", Err: errors.New("x")}: true,
		&net.OpError{Op: "read", Err: errors.New("x")}: false,
		errors.New("x"): false,
	} {
		if unreachable(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
