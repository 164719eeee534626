package e2e

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/client"
)

// goClient is the Go client, in this process.
type goClient struct {
	t    *testing.T
	conn *client.Conn
	stop context.CancelFunc
	done chan struct{} // closed when no more calls are made

	mu               sync.Mutex
	all              []record // guarded by mu
	answered, failed int      // guarded by mu
}

// What the channel takes and sends, as far as it is used here.
type (
	roomEvent struct {
		Message string `json:"message"`
	}
	credentials struct {
		Token string `json:"token"`
	}
	me struct {
		UserID string `json:"userId"`
	}
)

func startGo(t *testing.T, net *network) surviving {
	t.Helper()
	g := &goClient{t: t, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	spec := client.Spec{Path: "/chat", Params: []client.Param{{Name: "room", Query: "room"}}}
	conn, err := client.Connect(spec, net.url(""), map[string]string{"room": "general"}, client.Options[*client.Conn]{
		Authenticate: func(ctx context.Context, c *client.Conn) error {
			token, err := tokenFrom(ctx, net.url("/token"), "gopher", "member")
			if err != nil {
				return err
			}
			return client.Do(ctx, c, "", "authenticate", credentials{token})
		},
		Setup: func(c *client.Conn) {
			client.OnTopic(c, "room", "general", func(e roomEvent, _ client.Topic) {
				n, err := strconv.Atoi(e.Message)
				if err != nil {
					t.Errorf("go: %v", err)
				}
				g.see(record{N: n})
			})
			c.OnLost(func(client.Lost) { g.see(record{Lost: true}) })
		},
	}, func(c *client.Conn) *client.Conn { return c })
	if err != nil {
		t.Fatal(err)
	}
	g.conn = conn
	go g.callOn(ctx)
	return g
}

func (g *goClient) see(r record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, r)
}

// callOn calls until ctx ends.
func (g *goClient) callOn(ctx context.Context) {
	defer close(g.done)
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		m, err := client.Call[me](one, g.conn, "", "whoami", nil)
		cancel()
		var e *client.Error
		g.mu.Lock()
		switch {
		case err == nil && m.UserID == "gopher":
			g.answered++
		case errors.As(err, &e):
			g.failed++
		default:
			g.t.Errorf("go: whoami: %+v, %v", m, err)
		}
		g.mu.Unlock()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (g *goClient) name() string { return "go" }

func (g *goClient) seen() []record {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]record(nil), g.all...)
}

func (g *goClient) calls() (answered, failed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answered, g.failed
}

func (g *goClient) end() {
	g.stop()
	<-g.done
	if err := g.conn.Close(); err != nil {
		g.t.Errorf("go: close: %v", err)
	}
}
