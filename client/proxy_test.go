package client_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

// The client and a real server with both transports, on pipes, in virtual time,
// with a proxy between them that does what proxies do.

// pipes is a network of one address.
type pipes struct {
	dials chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{dials: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dials:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dials <- theirs:
		return ours, nil
	case <-p.over:
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// web serves h on pipes, and returns what ends that.
func (p *pipes) serve(h http.Handler) (stop func()) {
	web := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(p)
	}()
	return func() {
		web.Close()
		<-served
	}
}

// proxy forwards to a server, unless it does something else.
type proxy struct {
	back    *pipes
	forward *httputil.ReverseProxy
	upgrade atomic.Pointer[http.HandlerFunc] // for handshakes; nil forwards them
	post    atomic.Pointer[http.HandlerFunc] // for POSTs to a connection
	open    atomic.Pointer[http.HandlerFunc] // for what opens a stream
}

func newProxy(back *pipes) *proxy {
	at, _ := url.Parse("http://back.test")
	p := &proxy{back: back, forward: httputil.NewSingleHostReverseProxy(at)}
	p.forward.FlushInterval = -1
	p.forward.Transport = &http.Transport{DialContext: back.dial, DisableKeepAlives: true}
	p.forward.ErrorLog = log.New(io.Discard, "", 0)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Else net/http may close the body of a request that is answered while the
	// ReverseProxy has not seen its end, and that takes it for an error.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		panic(err)
	}
	var own *http.HandlerFunc
	switch {
	case r.Header.Get("Upgrade") != "":
		own = p.upgrade.Load()
	case r.Header.Get("Kanava-Up") != "":
		own = p.post.Load()
	default:
		own = p.open.Load()
	}
	if own != nil {
		(*own)(w, r)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *proxy) on(at *atomic.Pointer[http.HandlerFunc], f http.HandlerFunc) { at.Store(&f) }

// shake makes the handshake with the server, and then brings nothing more; it
// cuts the connection, or leaves the client waiting.
func (p *proxy) shake(t *testing.T, cut bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		up, err := p.back.dial(r.Context(), "", "")
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		if err := r.Write(up); err != nil {
			t.Error(err)
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(up), r)
		if err != nil {
			t.Error(err)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer down.Close()
		res.Body = http.NoBody
		if err := res.Write(down); err != nil || cut {
			return
		}
		_, _ = io.Copy(io.Discard, down)
	}
}

// site is a server behind a proxy.
type site struct {
	t     *testing.T
	srv   *kanava.Server[user]
	proxy *proxy
	front *pipes
}

// newSite starts both, in a bubble, until end.
func newSite(t *testing.T) (s *site, end func()) {
	s = &site{t: t, front: newPipes()}
	s.srv, _ = newServer()
	back := newPipes()
	s.proxy = newProxy(back)
	stopBack := back.serve(bothTransports(s.srv))
	stopFront := s.front.serve(s.proxy)
	return s, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		stopFront()
		stopBack()
		time.Sleep(time.Minute) // until net/http has let go of everything
	}
}

func bothTransports(srv *kanava.Server[user]) http.Handler {
	return ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})})
}

// dial connects a client, until hang up.
func (s *site) dial(opts options) (c *chat, hangUp func()) {
	tr := &http.Transport{DialContext: s.front.dial}
	opts.HTTPClient = &http.Client{Transport: tr}
	c, err := connect("http://front.test", opening{"general"}, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, func() {
		c.Close()
		<-c.Done()
		tr.CloseIdleConnections()
	}
}

// isOpen waits until the connection is open by a transport.
func (s *site) isOpen(c *chat, by client.Transport, within time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		synctest.Wait()
		now := c.State()
		if now.Phase == client.Open && now.Transport == by {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%+v, want %s", now, by)
		}
	}
}

// everything uses all that a connection is for.
func everything(t *testing.T, c *chat) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, pushes, bytesOf := make(chan say, 1), make(chan say, 1), make(chan []byte, 1)
	for _, l := range []*client.Listener{
		c.OnRoom("general", func(v say) { events <- v }),
		client.OnPush(c.Conn, "notice", func(v say) { pushes <- v }),
		c.OnBinary(func(p []byte) { bytesOf <- p }),
		client.Handle(c.Conn, "sure", func(_ context.Context, q question) (count, error) { return count{len(q.Text)}, nil }),
	} {
		defer l.Stop()
	}
	if v, err := c.Say(ctx, say{"hi"}); err != nil || v.Message != "ann: hi" || <-events != v {
		t.Error(v, err)
	}
	if err := client.Do(ctx, c.Conn, "", "note", say{"psst\r\nline"}); err != nil || (<-pushes).Message != "psst\r\nline" {
		t.Error(err)
	}
	if _, err := c.Say(ctx, say{strings.Repeat("x", 101)}); codeOf(err) != client.CodeInvalidArgument {
		t.Error(err)
	}
	n := 0
	for v, err := range c.Count(ctx, count{200}) {
		if n++; err != nil || v.N != n {
			t.Fatal(v, err)
		}
	}
	for v, err := range c.Count(ctx, count{1 << 30}) { // leaving it cancels
		if err != nil || v.N == 10 {
			break
		}
	}
	if v, err := client.Call[count](ctx, c.Conn, "", "ask", question{"why?"}); err != nil || v.N != 4 {
		t.Error(v, err)
	}
	if err := c.SendBinary(ctx, []byte{0, 255, 10, 13}); err != nil || !bytes.Equal(<-bytesOf, []byte{13, 10, 255, 0}) {
		t.Error(err)
	}
}

// Everything works where no WebSocket comes through, and a WebSocket is used as
// soon as one does.
func TestBlockedWebSocket(t *testing.T) {
	status := func(code int) func(*site) http.HandlerFunc {
		return func(*site) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				fmt.Fprint(w, "<html>no")
			}
		}
	}
	for name, block := range map[string]func(*site) http.HandlerFunc{
		"426": status(426), "400": status(400), "200": status(200), "502": status(502),
		"strips Upgrade": func(s *site) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Upgrade")
				s.proxy.forward.ServeHTTP(w, r)
			}
		},
		"strips everything": func(s *site) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				for name := range r.Header {
					if name == "Upgrade" || name == "Connection" || strings.HasPrefix(name, "Sec-Websocket") {
						r.Header.Del(name)
					}
				}
				s.proxy.forward.ServeHTTP(w, r)
			}
		},
		"never answers": func(*site) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		},
		"closes": func(*site) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		},
		"cuts after 101": func(s *site) http.HandlerFunc { return s.proxy.shake(s.t, true) },
		"deaf after 101": func(s *site) http.HandlerFunc { return s.proxy.shake(s.t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, end := newSite(t)
				s.proxy.on(&s.proxy.upgrade, block(s))
				c, hangUp := s.dial(options{Authenticate: signIn})
				first := 6 * time.Second
				if name == "deaf after 101" {
					first = 20 * time.Second
				}
				s.isOpen(c, client.ServerSentEvents, first)
				everything(t, c)
				synctest.Wait()
				time.Sleep(11 * time.Minute) // no way back yet
				s.isOpen(c, client.ServerSentEvents, 0)
				everything(t, c)
				s.proxy.upgrade.Store(nil)
				s.isOpen(c, client.WebSocket, 10*time.Minute+6*time.Second)
				everything(t, c)
				hangUp()
				end()
			})
		})
	}
}

// Where the server refuses connections itself the client does not go around it.
func TestServerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newSite(t)
		c, hangUp := s.dial(options{})
		s.isOpen(c, client.WebSocket, time.Second)
		var asked atomic.Int32
		s.proxy.on(&s.proxy.upgrade, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			s.proxy.forward.ServeHTTP(w, r)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if now := c.State(); asked.Load() == 0 || !strings.Contains(now.Reason, "unavailable") {
			t.Errorf("asked %d times: %+v", asked.Load(), now)
		}
		hangUp()
		end()
	})
}

// Answers to POSTs that are lost on the way make nothing run twice, and nothing
// get lost.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newSite(t)
		var posts atomic.Int32
		s.proxy.on(&s.proxy.post, func(w http.ResponseWriter, r *http.Request) {
			switch posts.Add(1) % 4 {
			case 1: // it was taken
				s.proxy.forward.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			case 2: // it was not
				w.WriteHeader(http.StatusBadGateway)
			case 3:
				s.proxy.forward.ServeHTTP(httptest.NewRecorder(), r)
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				s.proxy.forward.ServeHTTP(w, r)
			}
		})
		var got []string
		var mu sync.Mutex
		c, hangUp := s.dial(options{Transport: client.ServerSentEvents, Authenticate: signIn, Timeout: time.Minute, Setup: func(c *chat) {
			c.OnRoom("general", func(v say) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, v.Message)
			})
		}})
		var want []string
		for i := range 20 {
			text := fmt.Sprint(i)
			if _, err := c.Say(t.Context(), say{text}); err != nil {
				t.Fatal(err)
			}
			want = append(want, "ann: "+text)
		}
		synctest.Wait()
		mu.Lock()
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		mu.Unlock()
		hangUp()
		end()
	})
}

// A node that knows the connection no more makes the client come back, with
// server-sent events at once.
func TestNodeGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newSite(t)
		c, hangUp := s.dial(options{Transport: client.ServerSentEvents, Authenticate: signIn})
		s.isOpen(c, client.ServerSentEvents, time.Second)
		s.proxy.on(&s.proxy.post, func(w http.ResponseWriter, _ *http.Request) {
			s.proxy.post.Store(nil)
			w.WriteHeader(http.StatusNotFound)
		})
		_, err := c.Say(t.Context(), say{"hi"})
		if e := new(client.Error); codeOf(err) != client.CodeUnavailable {
			t.Error(err, e)
		}
		everything(t, c)
		hangUp()
		end()
	})
}

// A server that drains lets what runs end, and the client come to another one.
func TestDrainBySSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newSite(t)
		c, hangUp := s.dial(options{Transport: client.ServerSentEvents, Authenticate: signIn, Timeout: time.Minute})
		s.isOpen(c, client.ServerSentEvents, time.Second)
		asked, answer := make(chan struct{}), make(chan struct{})
		client.Handle(c.Conn, "sure", func(context.Context, question) (count, error) {
			close(asked)
			<-answer
			return count{7}, nil
		})
		got := make(chan error, 1)
		go func() {
			v, err := client.Call[count](t.Context(), c.Conn, "", "ask", question{"really?"})
			if err == nil && v.N != 7 {
				err = fmt.Errorf("got %d", v.N)
			}
			got <- err
		}()
		<-asked
		down := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			down <- s.srv.Shutdown(ctx)
		}()
		synctest.Wait()
		if now := c.State(); now.Phase != client.Leaving || now.Code != 4503 || now.Transport != client.ServerSentEvents {
			t.Errorf("%+v", now)
		}
		next, _ := newServer()
		other := newPipes()
		stop := other.serve(bothTransports(next))
		s.proxy.on(&s.proxy.open, newProxy(other).ServeHTTP)
		close(answer)
		if err := <-got; err != nil {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		s.proxy.on(&s.proxy.post, newProxy(other).ServeHTTP)
		s.isOpen(c, client.ServerSentEvents, 15*time.Second)
		everything(t, c)
		hangUp()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := next.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		stop()
		end()
	})
}

// Much at once goes up in batches, in order, and comes down.
func TestMuchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newSite(t)
		c, hangUp := s.dial(options{Transport: client.ServerSentEvents, Timeout: time.Minute})
		s.isOpen(c, client.ServerSentEvents, time.Second)
		got := make(chan []byte, 2000)
		c.OnBinary(func(p []byte) { got <- p })
		go func() {
			for i := range 1000 {
				if err := c.SendBinary(t.Context(), []byte{byte(i), byte(i >> 8)}); err != nil {
					t.Error(err)
				}
			}
		}()
		for i := range 1000 {
			if p := <-got; !bytes.Equal(p, []byte{byte(i >> 8), byte(i)}) {
				t.Fatalf("%d: % x", i, p)
			}
		}
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if v, err := client.Call[string](t.Context(), c.Conn, "", "big", strings.Repeat("x", 60_000)); codeOf(err) != client.CodeNotFound {
					t.Error(v, err)
				}
			})
		}
		wg.Wait()
		hangUp()
		end()
	})
}
