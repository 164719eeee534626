package sse_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

// versions runs a test with servers of each version of HTTP. serve starts one, and
// returns what makes a client with sockets of its own.
func versions(t *testing.T, test func(t *testing.T, serve func(http.Handler) (url string, client func() *http.Client))) {
	for name, start := range map[string]func(*httptest.Server){
		"http1": (*httptest.Server).Start,
		"http2": func(srv *httptest.Server) {
			srv.EnableHTTP2 = true
			srv.StartTLS()
		},
		"http2 without TLS": func(srv *httptest.Server) {
			srv.Config.Protocols = new(http.Protocols)
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			srv.Start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(h http.Handler) (string, func() *http.Client) {
				srv := httptest.NewUnstartedServer(h)
				start(srv)
				t.Cleanup(srv.Close)
				return srv.URL, func() *http.Client {
					tr := srv.Client().Transport.(*http.Transport).Clone()
					tr.Protocols = srv.Config.Protocols
					t.Cleanup(tr.CloseIdleConnections)
					return &http.Client{Transport: tr}
				}
			})
		})
	}
}

// A client that takes nothing is cut over real sockets, too, and the others do
// not notice.
func TestWriteStallOfSockets(t *testing.T) {
	versions(t, func(t *testing.T, serve func(http.Handler) (string, func() *http.Client)) {
		w := newWorld(t, sse.Options{}, kanava.Limits{Queue: 64 << 20})
		// Only the stuck one has little time: a machine may be too busy to serve
		// the others in that.
		hasty := sse.Handler(w.srv, sse.Options{WriteStall: 300 * time.Millisecond})
		url, client := serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Hasty") != "" {
				hasty.ServeHTTP(rw, r)
				return
			}
			w.web.Handler.ServeHTTP(rw, r)
		}))
		open := func(hasty string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/line", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "text/event-stream")
			req.Header.Set("Hasty", hasty)
			res, err := client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.HasPrefix(t.Name(), "TestWriteStallOfSockets/http2"); (res.ProtoMajor == 2) != want {
				t.Fatalf("the answer is of %s", res.Proto)
			}
			<-w.joined
			return res
		}
		stuck := open("yes")
		defer stuck.Body.Close()
		for range 320 { // 16 MB: no window and no buffer takes that
			w.publish(strings.Repeat("x", 50_000))
		}
		began := time.Now()
		w.wantLeft(ending{4409, "slow_consumer"})
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		other := open("")
		defer other.Body.Close()
		w.publish("hello")
		c := &conn{w: w, res: other, r: newReader(other.Body)}
		c.next()
		c.want(event{data: `{"topic":"news","data":"hello"}`})
	})
}

// Thousands of requests of many connections, some of which have wrong secrets
// or numbers: each message is taken once, in order, and nothing is left.
func TestManyRequests(t *testing.T) {
	const clients, posts = 20, 150
	versions(t, func(t *testing.T, serve func(http.Handler) (string, func() *http.Client)) {
		w := newWorld(t, sse.Options{}, kanava.Limits{Rate: kanava.Unlimited})
		url, newClient := serve(w.web.Handler)
		client := newClient()
		request := func(ctx context.Context, method, body string, fields ...string) (*http.Response, error) {
			req, err := http.NewRequestWithContext(ctx, method, url+"/line", strings.NewReader(body))
			if err != nil {
				return nil, err
			}
			for i := 0; i < len(fields); i += 2 {
				req.Header.Set(fields[i], fields[i+1])
			}
			if method == http.MethodGet {
				req.Body, req.ContentLength = nil, 0
			}
			return client.Do(req)
		}
		post := func(secret string, number int, body string, want int) error {
			res, err := request(t.Context(), http.MethodPost, body, "Kanava-Up", secret, "Kanava-Seq", strconv.Itoa(number), "Content-Type", "application/json")
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				return fmt.Errorf("%d of %s: %s, want %d", number, body, res.Status, want)
			}
			return nil
		}
		run := func(id int) error {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			res, err := request(ctx, http.MethodGet, "", "Accept", "text/event-stream")
			if err != nil {
				return err
			}
			defer res.Body.Close()
			secret, r := res.Header.Get("Kanava-Up"), newReader(res.Body)
			if _, err := r.next(); err != nil {
				return err
			}
			for n := 1; n <= posts; n++ {
				text := fmt.Sprintf(`"%d of %d"`, n, id)
				for _, try := range []error{
					post(secret, n+1, `"too early"`, 409),
					post(secret+"x", n, `"foreign"`, 404),
					post(secret, n, text, 204),
					post(secret, n, `"twice"`, 204),
				} {
					if try != nil {
						return try
					}
				}
				if e, err := r.next(); err != nil || e.data != text {
					return fmt.Errorf("got %+v, %w, want %s", e, err, text)
				}
			}
			return nil
		}
		var group sync.WaitGroup
		for id := range clients {
			group.Go(func() {
				if err := run(id); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for range clients {
			w.wantLeft(ending{1006, ""})
		}
		if n := w.srv.Conns().Count(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}
