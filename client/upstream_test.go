package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// postbox is a terrain whose POSTs a test answers.
type postbox struct {
	*terrain
	link *wiredLink

	mu      sync.Mutex
	answers []obstacle // guarded by mu: for the next POSTs; then the server takes them
	posts   []posted   // guarded by mu: not looked at
	begun   time.Time
}

// posted is a POST: its number, its messages, and when it came.
type posted struct {
	seq      string
	messages int
	at       time.Duration
}

func newPostbox(t *testing.T, answers ...obstacle) *postbox {
	b := &postbox{answers: answers}
	b.terrain = newTerrain(t, nil, func(s *settings) { s.webSocket = nil })
	through := b.server.on
	b.server.on = func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Kanava-Up") == "" {
			return through(req)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		b.posts = append(b.posts, posted{req.Header.Get("Kanava-Seq"), bytes.Count(body, []byte("\n")), time.Since(b.begun)})
		var next obstacle
		if len(b.answers) > 0 {
			next, b.answers = b.answers[0], b.answers[1:]
		}
		b.mu.Unlock()
		if next == nil {
			return nil, nil
		}
		return next(req)
	}
	b.link = b.opens(ServerSentEvents)
	b.begun = time.Now()
	return b
}

// came returns the POSTs since it was asked last.
func (b *postbox) came() []posted {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.posts
	b.posts = nil
	return list
}

// call makes calls at once, each with an input of some bytes, and answers them.
func (b *postbox) call(n, size int) (failed error) {
	results := make(chan error, n)
	in := strings.Repeat("x", size)
	for range n {
		go func() {
			_, err := Call[int](context.Background(), b.conn, "", "x", in)
			results <- err
		}()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			failed = errors.Join(failed, <-results)
		}
	}()
	for {
		synctest.Wait()
		for m := b.link.next(); m != nil; m = b.link.next() {
			id, _, _ := strings.Cut(strings.TrimPrefix(string(m.data), `{"id":`), ",")
			if _, err := strconv.Atoi(id); err == nil {
				b.link.text(`{"re":` + id + `,"out":1}`)
			}
		}
		select {
		case <-done:
			return failed
		default:
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// A POST is sent again, with its number, until the server has taken it.
func TestP21_PostsAgain(t *testing.T) {
	lost := failure("lost")
	busy := func(status int, after string) obstacle {
		return func(*http.Request) (*http.Response, error) {
			return answer(status, http.Header{"Retry-After": {after}}, http.NoBody), nil
		}
	}
	bubble(t, func(t *testing.T) {
		b := newPostbox(t, busy(429, "1"), busy(503, "3"), fails(lost), busy(502, ""), busy(504, "0"), fails(lost), fails(lost), nil)
		b.conn.settings.timeout = -1
		if err := b.call(1, 10); err != nil {
			t.Error(err)
		}
		want := []posted{
			{"1", 1, 0},
			{"1", 1, time.Second},
			{"1", 1, 4 * time.Second},
			{"1", 1, 5 * time.Second},
			{"1", 1, 6500 * time.Millisecond},
			{"1", 1, 8750 * time.Millisecond},
			{"1", 1, 12125 * time.Millisecond},
			{"1", 1, 17125 * time.Millisecond},
		}
		if got := b.came(); !slices.Equal(got[:min(len(got), len(want))], want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
	})
}

// A POST whose answer does not come is sent again, and what the server has taken
// is not run again.
func TestP21_PostUnanswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *postbox
		b = newPostbox(t, func(req *http.Request) (*http.Response, error) {
			b.server.post(b.link.secret, req.Header.Get("Kanava-Seq"), []byte("{\"id\":1,\"do\":\"x\"}\n"))
			return hangs(req)
		})
		b.conn.settings.timeout = -1
		got := make(chan error, 1)
		go func() { got <- Do(context.Background(), b.conn, "", "x", nil) }()
		time.Sleep(postTime + firstPause + time.Second)
		posts := b.came()
		if len(posts) < 2 || posts[0].seq != "1" || posts[1].seq != "1" || posts[1].at != postTime+firstPause {
			t.Errorf("%v", posts)
		}
		b.link.text(`{"re":1}`)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// What the server does not take at all ends the connection, and not the client.
func TestP21_PostRefused(t *testing.T) {
	for status, reason := range map[int]string{
		400: "400 Bad Request: invalid_argument: what was wrong", 403: "403", 404: "knows the connection no more", 409: "409", 413: "413", 415: "415", 200: "200", 302: "302",
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := newPostbox(t, says(status, `{"error":{"code":"invalid_argument","message":"what was wrong"}}`))
				got := make(chan error, 1)
				go func() { got <- Do(context.Background(), b.conn, "", "x", nil) }()
				synctest.Wait()
				s := b.phase(Waiting)
				if s.Code != CloseLost || !strings.Contains(s.Reason, reason) {
					t.Errorf("%+v", s)
				}
				var e *Error
				if err := <-got; !errors.As(err, &e) || e.Code != CodeUnavailable || !e.OutcomeUnknown {
					t.Error(err)
				}
				if posts := b.came(); len(posts) != 1 {
					t.Errorf("%v", posts)
				}
				b.pass(time.Until(s.Next))
				b.link = b.opens(ServerSentEvents)
				if err := b.call(1, 1); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Messages wait for the POST before theirs, and share the next one, up to its
// limits.
func TestP21_Batches(t *testing.T) {
	for _, tt := range []struct{ calls, size, posts int }{
		{1, 10, 1}, {20, 10, 1}, {3, 30_000, 2}, {3, 60_000, 3},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				release := make(chan struct{})
				b := newPostbox(t, func(*http.Request) (*http.Response, error) { <-release; return nil, nil })
				go func() { time.Sleep(time.Second); close(release) }()
				if err := b.call(tt.calls, tt.size); err != nil {
					t.Error(err)
				}
				posts := b.came()
				n := 0
				for i, p := range posts {
					if n += p.messages; p.messages > postMessages || p.seq != strconv.Itoa(i+1) {
						t.Errorf("%v", posts)
					}
				}
				if n != tt.calls || len(posts) < tt.posts || len(posts) > tt.posts+1 {
					t.Errorf("%v", posts)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) { // more messages than fit
		release := make(chan struct{})
		b := newPostbox(t, func(*http.Request) (*http.Response, error) { <-release; return nil, nil })
		for range 1000 {
			if err := b.conn.SendBinary(t.Context(), []byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		synctest.Wait()
		posts := b.came()
		n := 0
		for _, p := range posts {
			if n += p.messages; p.messages > postMessages {
				t.Errorf("%v", posts)
			}
		}
		if n != 1000 || len(posts) > 10 {
			t.Errorf("%d messages in %v", n, posts)
		}
	})
}

// Bytes travel as text, which is what has to fit.
func TestP21_Binary(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newPostbox(t)
		fits := 65536/4*3 - 9
		if err := b.conn.SendBinary(t.Context(), make([]byte, fits)); err != nil {
			t.Error(err)
		}
		if err := b.conn.SendBinary(t.Context(), make([]byte, fits+3)); code(err) != CodeTooLarge {
			t.Error(err)
		}
		synctest.Wait()
		if m := b.link.next(); m == nil || !m.binary || len(m.data) != fits {
			t.Errorf("%v", m)
		}
	})
}

// Close does not wait for a POST that hangs longer than it waits for anything.
func TestP21_CloseWhilePosting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newPostbox(t, hangs)
		go func() { _ = Do(context.Background(), b.conn, "", "x", nil) }()
		synctest.Wait()
		start := time.Now()
		b.conn.Close()
		<-b.conn.Done()
		if d := time.Since(start); d > 2*closeTime {
			t.Errorf("%v", d)
		}
	})
}

// What a client has said before Close goes out.
func TestP21_CloseSends(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newPostbox(t)
		if err := b.conn.SendBinary(t.Context(), []byte{1}); err != nil {
			t.Fatal(err)
		}
		b.conn.Close()
		if m := b.link.next(); m == nil || !m.binary || !b.link.isClosed() {
			t.Errorf("%v, closed: %v", m, b.link.isClosed())
		}
	})
}

// What is no stream of events of kanava.v1 opens nothing.
func TestP20_WrongAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		want   string
	}{
		"another type":     {http.Header{"Content-Type": {"text/html"}, "Kanava-Protocol": {"kanava.v1"}}, "no stream of events"},
		"no type":          {http.Header{"Kanava-Protocol": {"kanava.v1"}}, "no stream of events"},
		"another protocol": {http.Header{"Content-Type": {"text/event-stream"}, "Kanava-Protocol": {"kanava.v2"}}, "another protocol"},
		"no protocol":      {http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, "another protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newTerrain(t, map[Transport]obstacle{ServerSentEvents: func(*http.Request) (*http.Response, error) {
					return answer(200, tt.header, http.NoBody), nil
				}}, func(s *settings) { s.webSocket = nil })
				if s := w.phase(Waiting); !strings.Contains(s.Reason, tt.want) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What opens a stream, and what a message is sent with.
func TestP20_Requests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		header := http.Header{"Host": {"other.test"}, "X-Y": {"z"}, "Accept": {"image/png"}}
		var got []*http.Request
		server := &wired{on: func(req *http.Request) (*http.Response, error) {
			got = append(got, req)
			return nil, nil
		}}
		l := make(chan link, 1)
		go func() {
			x, err := eventDialer("http://kanava.test/c?x=1", header, &http.Client{Transport: server, Timeout: time.Nanosecond}, 1000)(t.Context(), []byte(`{"hello":{}}`))
			if err != nil {
				t.Error(err)
			}
			l <- x
		}()
		synctest.Wait()
		peer := server.next()
		peer.accept()
		x := <-l
		peer.text(openFrame)
		if m, err := x.read(); err != nil || len(m.data) > 0 {
			t.Errorf("a comment is %s %v", m.data, err)
		}
		if m, err := x.read(); err != nil || !strings.Contains(string(m.data), `"open"`) {
			t.Errorf("%s %v", m.data, err)
		}
		if err := x.write([]message{{data: []byte("{}")}, {data: []byte(`{"cancel":1}`)}}); err != nil {
			t.Error(err)
		}
		x.close(CloseNormal)
		if _, err := x.read(); err == nil {
			t.Error("it can be read after close")
		}
		if err := x.write([]message{{data: []byte("{}")}}); err == nil {
			t.Error("it can be written after close")
		}
		for i, want := range []map[string]string{
			{"Accept": "text/event-stream", "Accept-Encoding": "identity", "Kanava-Protocol": "kanava.v1", "Content-Type": "application/json", "X-Y": "z", "Kanava-Up": ""},
			{"Kanava-Up": "n.secret1", "Kanava-Seq": "1", "Content-Type": "application/json", "X-Y": "z", "Kanava-Protocol": ""},
		} {
			r := got[i]
			for name, value := range want {
				if r.Header.Get(name) != value {
					t.Errorf("%d: %s: %q", i, name, r.Header.Get(name))
				}
			}
			if r.Host != "other.test" || r.URL.RawQuery != "x=1" || r.Method != http.MethodPost {
				t.Errorf("%s %s %s", r.Method, r.Host, r.URL)
			}
		}
	})
}
