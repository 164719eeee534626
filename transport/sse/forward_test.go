package sse_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/sse"
)

// sseNode is one of several nodes, behind HTTP.
type sseNode struct {
	hub *kanava.EventHub
	url string
}

func newSSENode(t *testing.T, ground *memory.Backend) sseNode {
	t.Helper()
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: ground.Engine(), Logger: slog.New(slog.DiscardHandler)})
	srv := kanava.NewServer(kanava.Options[none]{EventHub: hub, Logger: slog.New(slog.DiscardHandler)})
	srv.Wire(kanava.Wiring[none, none]{
		Name: "echo", Route: "/echo", Public: true, Limits: kanava.Limits{Message: 1000},
		OnMessage: kanava.Func(func(_ context.Context, _ *kanava.Channel[none, none], in string) (string, error) { return in, nil }),
	})
	web := httptest.NewServer(sse.Handler(srv, sse.Options{}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		web.CloseClientConnections()
		web.Close()
		hub.Close()
	})
	if err := hub.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sseNode{hub, web.URL + "/echo"}
}

// post says something to the connection with this secret, at this node.
func (n sseNode) post(t *testing.T, secret, seq, contentType, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Kanava-Up": {secret}, "Kanava-Seq": {seq}, "Content-Type": {contentType}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

// Any node takes what a client says, and answers as that of the connection does.
func TestP21_AnyNodeTakesPosts(t *testing.T) {
	ground := memory.New()
	a, b := newSSENode(t, ground), newSSENode(t, ground)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	secret := res.Header.Get("Kanava-Up")
	lines := bufio.NewScanner(res.Body)
	hear := func(want string) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.HasPrefix(data, `"`) {
				if data != want {
					t.Fatalf("got %s, want %s", data, want)
				}
				return
			}
		}
		t.Fatalf("the stream has ended: %v", lines.Err())
	}
	await := func(status int, text string, want int, has string) {
		t.Helper()
		if status != want || !strings.Contains(text, has) {
			t.Errorf("%d %s, want %d with %q", status, text, want, has)
		}
	}
	expect := func(n sseNode, seq, contentType, body string, want int, has string) {
		t.Helper()
		status, text := n.post(t, secret, seq, contentType, body)
		await(status, text, want, has)
	}
	// The node is known to the other once it has said that it is there.
	for range 100 {
		if status, _ := b.post(t, secret, "1", "application/json", `"one"`); status == http.StatusNoContent {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	hear(`"one"`)
	expect(b, "1", "application/json", `"one"`, 204, "") // taken before
	expect(a, "2", "application/json", `"two"`, 204, "")
	hear(`"two"`)
	expect(b, "3", "application/json", "\"three\"\n\"four\"\n", 204, "")
	hear(`"three"`)
	hear(`"four"`)
	expect(b, "9", "application/json", `"x"`, 409, `{"expected":4}`)
	expect(b, "0", "application/json", `"x"`, 400, "invalid_argument")
	expect(b, "4", "text/plain", `"x"`, 415, "invalid_argument")
	wrong := secret[:len(secret)-1] + "x"
	status, text := b.post(t, wrong, "4", "application/json", `"x"`)
	await(status, text, 404, "not_found")
	_, random, _ := strings.Cut(secret, ".")
	began := time.Now()
	status, text = b.post(t, "nowhere-1."+random, "4", "application/json", `"x"`)
	await(status, text, 404, "not_found")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a node that is none took %v", took)
	}
	expect(b, "4", "application/json", `"`+strings.Repeat("x", 70_000)+`"`, 413, "too_large")
}
