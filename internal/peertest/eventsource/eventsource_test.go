// Package eventsource_test has a real browser read channels: Chromium, whose
// EventSource knows nothing of Kanava.
package eventsource_test

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

//go:embed page.html
var page []byte

type line struct {
	Text string `json:"text"`
}

type room = kanava.Channel[kanava.None, kanava.None]

// browser is the page in Chromium, as the test sees it.
type browser struct {
	t      *testing.T
	told   chan string // what the page says
	orders chan string // what it is to send
	rows   *kanava.Topic[line]
	lastID chan string // of each request for the channel
}

// The two may be of one origin, or of two: then the server lists the page's.
func TestEventSource(t *testing.T) {
	for _, tt := range []struct {
		proves string
		listed bool
	}{{"a page of the server's own", false}, {"a page of a listed origin", true}} {
		t.Run(tt.proves, func(t *testing.T) {
			b := &browser{t: t, told: make(chan string, 100), orders: make(chan string, 10), lastID: make(chan string, 100)}
			mux := http.NewServeMux()
			site := httptest.NewServer(mux)
			b.serveSite(mux)
			target := "/room"
			if tt.listed {
				other := httptest.NewServer(b.channel(site.URL))
				t.Cleanup(other.Close)
				target = other.URL + "/room"
			} else {
				mux.Handle("/room", b.channel())
			}
			t.Cleanup(func() {
				site.CloseClientConnections()
				site.Close()
			})
			startChromium(t, site.URL+"/?channel="+url.QueryEscape(target))
			b.talk()
		})
	}
}

func (b *browser) talk() {
	b.expect(`["open"]`)
	b.expect(`["up"]`)
	b.expect(`["message","welcome",false]`)
	b.wantID("")

	const text = "one\ntwo\r\n\n\u2028three: \\n"
	b.publish(text)
	b.expect(`["message",{"topic":"row:a","data":{"text":"one\ntwo\r\n\n` + "\u2028" + `three: \\n"}},true]`)
	b.order(`{"text":"{\"action\":\"echo\",\"text\":\"x\\ny\"}"}`)
	b.expectSent(`["message",{"text":"x\ny","action":"echo"},true]`)
	b.order(`{"bytes":[0,10,13,255]}`)
	b.expectSent(`["binary","0,10,13,255"]`)

	// The server closes, and the browser comes back by itself, with what it
	// knows: it misses nothing, and sees nothing twice.
	b.order(`{"text":"{\"action\":\"close\",\"code\":4200}"}`)
	b.expectSent(`["message",{"action":"close"},true]`, `["close",4200,"as asked for",1]`)
	b.publish("missed")
	b.expect(`["open"]`)
	b.expect(`["up"]`)
	b.expect(`["message","welcome",true]`)
	b.expect(`["message",{"topic":"row:a","data":{"text":"missed"}},true]`)
	b.wantID("row%3Aa=")
	b.order(`{"text":"{\"action\":\"echo\",\"text\":\"again\"}"}`)
	b.expectSent(`["message",{"text":"again","action":"echo"},true]`)

	// After a code that says so, the page stays away.
	b.order(`{"text":"{\"action\":\"close\",\"code\":4001}"}`)
	b.expectSent(`["message",{"action":"close"},true]`, `["close",4001,"as asked for",2]`)
}

func (b *browser) order(what string) { b.orders <- what }

func (b *browser) publish(text string) {
	b.t.Helper()
	if err := b.rows.Publish(b.t.Context(), "a", line{text}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) next() string {
	b.t.Helper()
	select {
	case got := <-b.told:
		return got
	case <-time.After(patience):
		b.t.Fatal("the page says nothing")
		panic("unreachable")
	}
}

func (b *browser) expect(want string) {
	b.t.Helper()
	if got := b.next(); got != want {
		b.t.Fatalf("the page says\n\t%s\nnot\n\t%s", got, want)
	}
}

// expectSent expects these things in order and, at any time among them, that a
// message was taken: that comes on another connection.
func (b *browser) expectSent(want ...string) {
	b.t.Helper()
	const taken = `["sent",204]`
	sent := 0
	for range len(want) + 1 {
		switch got := b.next(); {
		case got == taken && sent == 0:
			sent++
		case len(want) > 0 && got == want[0]:
			want = want[1:]
		default:
			b.t.Fatalf("the page says\n\t%s\nnot\n\t%s", got, append(want, taken))
		}
	}
}

// wantID demands that the browser sent an id that has part, or none where that
// is empty.
func (b *browser) wantID(part string) {
	b.t.Helper()
	if got := <-b.lastID; (got == "") != (part == "") || !strings.Contains(got, part) {
		b.t.Errorf("Last-Event-ID is %q", got)
	}
}

// channel serves the channel at "/room" on both transports.
func (b *browser) channel(origins ...string) http.Handler {
	srv := kanava.NewServer(kanava.Options[kanava.None]{Origins: origins})
	b.rows = kanava.NewTopic[line](srv.EventHub(), "row", kanava.Recoverable(100, time.Hour))
	type closing struct {
		Code kanava.CloseCode `json:"code"`
	}
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "room", Route: "/room", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *room) (string, error) {
			return "welcome", b.rows.Subscribe(ctx, ch, "a")
		}),
		OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *room, p []byte) ([]byte, error) { return p, nil }),
		Messages: kanava.By("action",
			kanava.On("echo", func(_ context.Context, _ *room, in line) (line, error) { return in, nil }),
			kanava.OnDo("close", func(ctx context.Context, ch *room, in closing) error { return ch.Close(ctx, in.Code, "as asked for") }),
		),
		Declares: []kanava.Declared{b.rows},
	})
	next := ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			b.lastID <- r.Header.Get("Last-Event-ID")
		}
		next.ServeHTTP(w, r)
	})
}

// serveSite serves the page, and its conversation with the test.
func (b *browser) serveSite(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("POST /told", func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.t.Error(err)
		}
		b.told <- string(body)
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case order := <-b.orders:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", order)
			case <-r.Context().Done():
				return
			}
		}
	})
}

// startChromium opens a page, until the test ends.
func startChromium(t *testing.T, target string) {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "chromium"
	}
	path, err := exec.LookPath(path)
	if err != nil {
		t.Fatalf("there is no Chromium: install Debian's package chromium, or set CHROMIUM: %v", err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic",
		"--no-first-run", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", target)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its processes end together
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
}
