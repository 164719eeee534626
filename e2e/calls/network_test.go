package calls

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// A network with latency makes everything slower and nothing wrong.
func TestLatency(t *testing.T) {
	ctx := within(t, 30*time.Second)
	_, addr := startNode(t, "", ws.Options{})
	net := proxyTo(t, addr)
	net.add(`{"type":"latency","stream":"downstream","attributes":{"latency":50,"jitter":30}}`)
	net.add(`{"type":"latency","stream":"upstream","attributes":{"latency":50,"jitter":30}}`)
	c := dial(t, net.url(), nil)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if err := add(ctx, c, n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for v, err := range client.Stream[number](ctx, c, "", "count", number{50}) {
		if n++; err != nil || v.N != n {
			t.Fatal(v, err)
		}
	}
	if n != 50 {
		t.Errorf("%d items", n)
	}
}

// Packets of a few bytes, and few of them a second.
func TestSlowAndSliced(t *testing.T) {
	ctx := within(t, 60*time.Second)
	_, addr := startNode(t, "", ws.Options{})
	net := proxyTo(t, addr)
	net.add(`{"type":"slicer","stream":"downstream","attributes":{"average_size":7,"size_variation":5,"delay":100}}`)
	net.add(`{"type":"slicer","stream":"upstream","attributes":{"average_size":7,"size_variation":5,"delay":100}}`)
	net.add(`{"type":"bandwidth","name":"b","stream":"downstream","attributes":{"rate":20}}`)
	c := dial(t, net.url(), nil)
	want := strings.Repeat("ä€😀", 300)
	for range 2 {
		got, err := client.Call[text](ctx, c, "", "echo", text{want})
		if err != nil || got.Text != want {
			t.Fatalf("%d bytes, %v", len(got.Text), err)
		}
	}
}

// A network that swallows everything is noticed by the client, which comes back
// when it works again. The server would notice at the same moment, and its end
// of the connection gets through: it is told to wait longer.
func TestBlackhole(t *testing.T) {
	ctx := within(t, 60*time.Second)
	_, addr := startNode(t, "", ws.Options{Ping: 500 * time.Millisecond, PongWait: time.Minute})
	net := proxyTo(t, addr)
	c := dial(t, net.url(), nil)
	ch := states(c)
	if err := add(ctx, c, 1); err != nil {
		t.Fatal(err)
	}
	net.add(`{"type":"timeout","name":"up","stream":"upstream","attributes":{"timeout":0}}`)
	net.add(`{"type":"timeout","name":"down","stream":"downstream","attributes":{"timeout":0}}`)
	lost := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		lost <- add(ctx, c, 2)
	}()
	begun := time.Now()
	s := await(t, ch, client.Waiting, 30*time.Second) // a vector of §8 holds it to 10 s, in virtual time
	if took := time.Since(begun); s.Code != client.CloseNoPong || took < 9*time.Second {
		t.Errorf("%+v after %v", s, took)
	}
	if e := asError(<-lost); e == nil || e.Code != client.CodeUnavailable || !e.OutcomeUnknown {
		t.Errorf("the call ended with %v", e)
	}
	net.cut() // what hangs in the proxy
	net.heal()
	net.mend()
	await(t, ch, client.Open, 30*time.Second)
	if err := add(ctx, c, 3); err != nil {
		t.Error(err)
	}
}

// A server that is killed and started again on its port.
func TestKillAndRestart(t *testing.T) {
	ctx := within(t, 60*time.Second)
	first, addr := startNode(t, "", ws.Options{})
	got := make(chan int, 100)
	c := dial(t, "ws://"+addr, func(c *client.Conn) {
		client.OnTopic(c, "numbers", "all", func(v number, _ client.Topic) { got <- v.N })
	})
	ch := states(c)
	if err := add(ctx, c, 1); err != nil {
		t.Fatal(err)
	}
	publish(t, first, got, 1)
	first.kill()
	await(t, ch, client.Waiting, 10*time.Second)
	waits := make(chan error, 1)
	go func() { waits <- add(ctx, c, 2) }()
	second, _ := startNode(t, addr, ws.Options{})
	if err := <-waits; err != nil {
		t.Error(err)
	}
	if second.app.added[2] != 1 || second.app.added[1] != 0 {
		t.Errorf("the second server was called with %v", second.app.added)
	}
	publish(t, second, got, 2)
}

// publish publishes n until it arrives: a subscription is made by OnConnect,
// which may still run, and for a session.
func publish(t *testing.T, n *node, got <-chan int, v int) {
	t.Helper()
	if err := n.app.numbers.Publish(context.Background(), "all", number{v}); err != nil {
		t.Fatal(err)
	}
	select {
	case have := <-got:
		if have != v {
			t.Errorf("event %d, want %d", have, v)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the event did not come")
	}
}

// While connections are cut and reset again and again: a call that has
// succeeded has run once, one with an unknown outcome at most once, any other
// not at all; and events come once and in order, or are told to be lost.
func TestCutAndReset(t *testing.T) {
	ctx := within(t, 90*time.Second)
	node, addr := startNode(t, "", ws.Options{})
	net := proxyTo(t, addr)

	var mu sync.Mutex
	var last, got, gaps int
	lost := false
	came := make(chan struct{}, 1000)
	c := dial(t, net.url(), func(c *client.Conn) {
		c.OnLost(func(client.Lost) {
			mu.Lock()
			defer mu.Unlock()
			lost = true
		})
		client.OnTopic(c, "numbers", "all", func(v number, _ client.Topic) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case v.N <= last:
				t.Errorf("event %d after %d", v.N, last)
			case last > 0 && v.N > last+1 && !lost:
				t.Errorf("event %d after %d, and nothing was told to be lost", v.N, last)
			case v.N > last+1:
				gaps++
			}
			last, lost = v.N, false
			got++
			select {
			case came <- struct{}{}:
			default:
			}
		})
	})
	ch := states(c)
	if err := add(ctx, c, 0); err != nil {
		t.Fatal(err)
	}

	stop := make(chan struct{})
	var publisher, callers sync.WaitGroup
	published := 0
	publisher.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				published++
				if err := node.app.numbers.Publish(ctx, "all", number{published}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	const callsOf, workers = 1000000, 8
	outcome := make([]map[int]*client.Error, workers)
	for w := range workers {
		outcome[w] = map[int]*client.Error{}
		callers.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := w*callsOf + i
				outcome[w][n] = asError(add(ctx, c, n))
			}
		})
	}
	traffic := func() { // until some events have come on the connection of the moment
		for len(came) > 0 {
			<-came
		}
		for range 40 {
			select {
			case <-came:
			case <-ctx.Done():
				t.Fatal("no events come any more")
			}
		}
	}
	for i := range 5 {
		traffic()
		if i%2 == 1 {
			net.add(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`)
			await(t, ch, client.Waiting, 30*time.Second)
			net.heal()
		}
		net.cut() // also what hangs in the proxy after a reset
		net.mend()
	}
	traffic()
	close(stop)
	publisher.Wait()
	callers.Wait()
	if err := add(ctx, c, -1); err != nil {
		t.Error(err)
	}

	node.app.mu.Lock()
	defer node.app.mu.Unlock()
	succeeded, unknown, refused := 0, 0, 0
	for _, calls := range outcome {
		for n, e := range calls {
			ran := node.app.added[n]
			switch {
			case e == nil && ran != 1:
				t.Errorf("call %d has succeeded and ran %d times", n, ran)
			case e == nil:
				succeeded++
			case e.OutcomeUnknown && ran > 1:
				t.Errorf("call %d ran %d times", n, ran)
			case e.OutcomeUnknown:
				unknown++
			case ran != 0:
				t.Errorf("call %d ended with %v, and has run", n, e)
			default:
				refused++
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d calls succeeded, %d have an unknown outcome, %d were refused; %d of %d events came, with %d gaps that were told",
		succeeded, unknown, refused, got, published, gaps)
	if succeeded < 100 || unknown == 0 || got < 100 || gaps == 0 {
		t.Error("too little has happened to prove anything")
	}
}
