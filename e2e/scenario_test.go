package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava/client"
)

// toxiproxy passes what is on its way to a goroutine of its own that may have ended
// with the connection, and then waits for ever (v2.5.0, toxics/noop.go, and before it
// stream/io_chan.go).
var stuckInToxiproxy = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
}

// TestMain demands that no goroutine of a client, or of anything else but
// toxiproxy, is left.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, stuckInToxiproxy...) }

// session is how long a token is good for: clients have to sign in again and
// again during the scenario.
const session = 20 * time.Second

// TestScenario runs the clients that KANAVA_E2E names, separated by commas; see
// clients. Without it, those that need nothing but Go.
func TestScenario(t *testing.T) {
	names := os.Getenv("KANAVA_E2E")
	if names == "" {
		names = "go,gosse"
	}
	server := newChatServer(t)
	server.start(session)
	net := newNetwork(t, server.addr)
	pub := newPublisher(t, server)
	var all []surviving
	for name := range strings.SplitSeq(names, ",") {
		start := clients[name]
		if start == nil {
			t.Fatalf("KANAVA_E2E: no client is called %q", name)
		}
		all = append(all, start(t, net))
	}
	pub.connect()
	pub.publish(1, 0)
	for _, c := range all {
		// Who joins late is not told what was before: start when all are there.
		eventually(t, 30*time.Second, c.name()+" sees the first number", func() bool {
			pub.publish(1, 50*time.Millisecond)
			return len(c.seen()) > 0
		})
	}
	first := make([]int, len(all))
	for i, c := range all {
		first[i] = c.seen()[0].N
	}

	for _, step := range []struct {
		what string
		lose bool // the server forgets the room's history: what was missed may be lost, else it is not
		do   func()
	}{
		{"nothing happens", false, func() {
			pub.publish(50, 10*time.Millisecond)
		}},
		{"the network is cut for a moment", false, func() {
			net.cut()
			pub.publish(5, 10*time.Millisecond)
			net.mend()
			pub.publish(20, 50*time.Millisecond)
		}},
		{"the network is cut again and again", false, func() {
			for range 4 {
				net.cut()
				net.mend()
				pub.publish(10, 100*time.Millisecond)
			}
		}},
		{"the network is slow", false, func() {
			net.slow()
			pub.publish(40, 100*time.Millisecond)
			net.heal()
			pub.publish(10, 10*time.Millisecond)
		}},
		{"the server is killed and started again", true, func() {
			pub.hangUp()
			server.kill()
			server.start(session)
			pub.connect()
			pub.publish(20, 100*time.Millisecond)
		}},
		{"the server shuts down and is started again", true, func() {
			pub.hangUp()
			server.stop()
			server.start(session)
			pub.connect()
			pub.publish(20, 100*time.Millisecond)
		}},
		{"the network swallows everything until clients notice", false, func() {
			net.blackhole()
			pub.publish(45, time.Second) // the ping period and the patience after it
			net.heal()
			pub.publish(10, 100*time.Millisecond)
		}},
	} {
		t.Log(step.what)
		before := make([]int, len(all))
		for i, c := range all {
			before[i] = losses(c.seen())
		}
		step.do()
		for i, c := range all {
			eventually(t, 60*time.Second, c.name()+" sees numbers again after: "+step.what, func() bool {
				seen := c.seen()
				pub.publish(1, 100*time.Millisecond)
				return seen[len(seen)-1].N >= pub.last-1
			})
			if n := losses(c.seen()) - before[i]; n > 0 && !step.lose {
				t.Errorf("%s lost what the room still keeps, %d times, when %s", c.name(), n, step.what)
			}
		}
	}

	pub.publish(1, 0)
	for i, c := range all {
		eventually(t, 10*time.Second, c.name()+" sees the last number", func() bool {
			seen := c.seen()
			return seen[len(seen)-1].N == pub.last
		})
		if err := judge(c.seen(), first[i], pub.last); err != nil {
			t.Errorf("%s: %v", c.name(), err)
		}
		answered, failed := c.calls()
		lost := losses(c.seen())
		numbers := len(c.seen()) - lost
		t.Logf("%s: %d of %d numbers, %d times told of a loss; %d calls answered, %d failed with a code", c.name(), numbers, pub.last-first[i]+1, lost, answered, failed)
		// Nobody can click while the page is offline: its calls need not fail.
		if answered == 0 || failed == 0 && c.name() != "chromium" {
			t.Errorf("%s: calls have to succeed, and to fail while the network does", c.name())
		}
		c.end()
	}
}

// clients start the clients by name.
var clients = map[string]func(*testing.T, *network) surviving{
	"go":      startGo("go", client.WebSocket),
	"gosse":   startGo("gosse", client.ServerSentEvents),
	"node":    script("node", "websocket", "node_modules/.bin/node"),
	"nodesse": script("nodesse", "sse", "node_modules/.bin/node"),
	"node20":  script("node20", "websocket", "node"), // has no WebSocket: it is given one
	"bun":     script("bun", "websocket", "node_modules/.bin/bun"),
	"deno":    script("deno", "websocket", "node_modules/.bin/deno", "run", "--allow-net=127.0.0.1", "--allow-read", "--allow-env"),

	"chromium": startPage,
}
