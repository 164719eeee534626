package e2e

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/e2e/chatclient"
)

// goClient is the generated Go client, in this process.
type goClient struct {
	t    *testing.T
	what string
	chat *chatclient.Chat
	stop context.CancelFunc
	done chan struct{} // closed when no more calls are made

	mu               sync.Mutex
	all              []record // guarded by mu
	answered, failed int      // guarded by mu
	met              bool     // guarded by mu: it has seen itself among those who are there
}

func startGo(what string, transport client.Transport) func(*testing.T, *network) surviving {
	return func(t *testing.T, net *network) surviving { return newGoClient(t, net, what, transport) }
}

func newGoClient(t *testing.T, net *network, what string, transport client.Transport) *goClient {
	t.Helper()
	g := &goClient{t: t, what: what, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	chat, err := chatclient.ConnectChat(net.url(""), chatclient.RoomParams{Room: "general"}, chatclient.ChatOptions{
		Transport: transport,
		Authenticate: func(ctx context.Context, chat *chatclient.Chat) error {
			token, err := tokenFrom(ctx, net.url("/token"), "gopher", "member")
			if err != nil {
				return err
			}
			_, err = chat.Authenticate(ctx, chatclient.Credentials{Token: token})
			return err
		},
		Setup: func(chat *chatclient.Chat) {
			chat.OnRoom("general", func(e chatclient.RoomEvent) {
				n, err := strconv.Atoi(e.Message)
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				g.see(record{N: n})
			})
			chat.OnRoomPresence("general", func(who client.Presence[chatclient.Person]) { g.meet(who) })
			chat.OnLost(func(client.Lost) { g.see(record{Lost: true}) })
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.chat = chat
	go g.callOn(ctx)
	return g
}

func (g *goClient) see(r record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, r)
}

// meet takes who is there.
func (g *goClient) meet(who client.Presence[chatclient.Person]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range who.Members {
		if m.ID == "gopher" && m.Data.Role == "member" {
			g.met = true
		}
	}
}

// callOn calls until ctx ends.
func (g *goClient) callOn(ctx context.Context) {
	defer close(g.done)
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		m, err := g.chat.Whoami(one)
		cancel()
		var e *client.Error
		g.mu.Lock()
		switch {
		case err == nil && m.UserID == "gopher":
			g.answered++
		case errors.As(err, &e):
			g.failed++
		default:
			g.t.Errorf("%s: whoami: %+v, %v", g.what, m, err)
		}
		g.mu.Unlock()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (g *goClient) name() string { return g.what }

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
	g.mu.Lock()
	if !g.met {
		g.t.Errorf("%s: it was never told that it is there", g.what)
	}
	g.mu.Unlock()
	if err := g.chat.Close(); err != nil {
		g.t.Errorf("%s: close: %v", g.what, err)
	}
}
