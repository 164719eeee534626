package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/client"
)

// TestMain is also the process of a node.
func TestMain(m *testing.M) {
	if name := os.Getenv(nodeVariable); name != "" {
		if err := runNode(name); err != nil {
			fmt.Fprintf(os.Stderr, "node %s: %v\n", name, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// guest is a client, as the page has it.
type guest struct {
	mu    sync.Mutex
	node  string   // guarded by mu: where it is connected
	ticks []string // guarded by mu: what it has heard
	lost  int      // guarded by mu
}

var guestSpec = client.Spec{Path: "/visit", Params: []client.Param{{Name: "visitor", Query: "visitor"}}}

func newGuest(t *testing.T, base, name string) *guest {
	t.Helper()
	g := &guest{}
	_, err := client.Connect(guestSpec, base, map[string]string{"visitor": name}, client.Options[*client.Conn]{}, func(c *client.Conn) *client.Conn {
		client.OnOpened(c, func(p Place) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.node = p.Node
		})
		client.OnTopic(c, "visits", everybody, func(tick Tick, _ client.Topic) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.ticks = append(g.ticks, fmt.Sprint(tick.Node, tick.N, tick.At))
		})
		c.OnLost(func(client.Lost) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.lost++
		})
		t.Cleanup(func() { _ = c.Close() })
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guest) at() (node string, ticks int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.node, len(g.ticks)
}

// heard is all that the guest has heard, from one tick on.
func (g *guest) heard(from string) ([]string, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.ticks, from); i >= 0 {
		return slices.Clone(g.ticks[i:]), g.lost
	}
	return nil, g.lost
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 600 {
		if cond() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}

func TestAClusterLosesANode(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	at, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- run(ctx, "127.0.0.1:0", func(a net.Addr) { at <- a }) }()
	var base string
	select {
	case a := <-at:
		base = "http://" + a.String()
	case err := <-ended:
		t.Fatal(err)
	}
	states := func() map[string]nodeState {
		res, err := http.Get(base + "/nodes")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var all []nodeState
		if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		byName := map[string]nodeState{}
		for _, s := range all {
			byName[s.Name] = s
		}
		return byName
	}
	tell := func(node, do string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/nodes/"+node+"/"+do, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(control, "test")
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusNoContent {
			t.Fatalf("%s %s: %v, %v", do, node, res, err)
		}
		res.Body.Close()
	}
	res, err := http.Post(base+"/nodes/a/kill", "", nil)
	if err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("another page can kill nodes: %v, %v", res, err)
	}

	var guests []*guest
	for i := range 6 {
		guests = append(guests, newGuest(t, base, fmt.Sprint("guest", i)))
	}
	await(t, "all guests hear ticks", func() bool {
		return !slices.ContainsFunc(guests, func(g *guest) bool { node, n := g.at(); return node == "" || n < 3 })
	})
	first := guests[0]
	first.mu.Lock()
	from := first.ticks[len(first.ticks)-1]
	first.mu.Unlock()
	victim, _ := first.at()
	tell(victim, "kill")
	await(t, "the guests are on other nodes, and hear more", func() bool {
		return !slices.ContainsFunc(guests, func(g *guest) bool {
			node, _ := g.at()
			heard, _ := g.heard(from)
			return node == victim || len(heard) < 10
		})
	})
	if s := states()[victim]; s.State != "down" {
		t.Errorf("node %s is %s", victim, s.State)
	}
	tell(victim, "start")
	await(t, "the node is up again", func() bool { return states()[victim].State == "up" })
	late := newGuest(t, base, "late")
	await(t, "what the node has to say is heard", func() bool {
		_, n := late.at()
		return n > 3
	})

	// Everybody has heard the same since, in one order, whatever node they were on.
	want, _ := first.heard(from)
	for i, g := range guests {
		heard, lost := g.heard(from)
		n := min(len(heard), len(want))
		if n < 10 || !slices.Equal(heard[:n], want[:n]) || lost > 0 {
			t.Errorf("guest %d has lost something %d times, and heard %v, not %v", i, lost, heard, want)
		}
	}
	pids := []int{}
	for _, s := range states() {
		pids = append(pids, s.PID)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if _, err := os.Stat(fmt.Sprint("/proc/", pid)); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}
