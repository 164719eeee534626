package chat

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// 50 clients that speak at once lose no reply and no event, though each of their
// messages meets a process of its own. All events are of one topic.
func TestFiftyClients(t *testing.T) {
	gateways(t, func(t *testing.T, gw *emulate.Gateway, _ emulate.Function) {
		const n = 50
		clients := make([]*plain, n)
		for i := range clients {
			clients[i] = join(t, gw, "general")
		}
		for i, c := range clients {
			c.signIn(gw, fmt.Sprint("user", i), "member")
		}
		began := time.Now()
		for i, c := range clients {
			c.send(fmt.Sprintf(`{"action":"sendMessage","message":"from %d."}`, i))
		}
		for i, c := range clients {
			c.want(`"action":"sendMessage"`, fmt.Sprintf(`"message":"from %d."`, i))
			for other := range clients {
				if other != i {
					c.want(`"topic":"room:general"`, fmt.Sprintf(`"message":"from %d.","userId":"user%d"`, other, other))
				}
			}
		}
		t.Logf("%d messages to %d clients: %v", n, n, time.Since(began))
		for _, c := range clients {
			c.nothingElse()
		}
	})
}

// A process that is killed in the midst of an event leaves what the next one can work
// with: the same client, signed in, in its room.
func TestKilled(t *testing.T) {
	gw := emulate.Offline(t, function(t))
	alice, bob := join(t, gw, "general"), join(t, gw, "general")
	alice.signIn(gw, "alice", "member")
	bob.signIn(gw, "bob", "member")
	for range 3 {
		alice.send(`{"action":"process","jobId":"j1"}`)
		alice.want(`"step":"Loading data"`)
		bob.send(`{"action":"sendMessage","message":"cut off"}`) // is killed anywhere on its way
		if gw.Lambda.Kill() == 0 {
			t.Fatal("no process was killed")
		}
		alice.want("Internal server error") // the gateway's word for it
		alice.send(`{"action":"whoami"}`)
		alice.want(`{"userId":"alice","role":"member","action":"whoami"}`)
		alice.send(`{"action":"sendMessage","message":"still here"}`)
		alice.want(`"action":"sendMessage"`)
		bob.want(`"message":"still here","userId":"alice"`)
	}
	alice.send(`{"action":"who"}`)
	alice.want(`{"names":["alice","bob"],"count":2,"action":"who"}`)
}

// ready is how long after its start a process may ask for its first event.
const ready = 60 * time.Millisecond

// The program starts fast enough for a client to wait for it. The machine may have
// other things to do, so this is about the fastest of some starts.
func TestStart(t *testing.T) {
	fn := function(t)
	fn.Fresh = true
	l := emulate.NewLambda(t, fn)
	for i := range 20 {
		event, err := json.Marshal(map[string]any{
			"queryStringParameters": map[string]string{"room": "general"},
			"requestContext":        map[string]any{"eventType": "CONNECT", "routeKey": "$connect", "stage": "chat", "connectionId": fmt.Sprint("c", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := l.Invoke(limit(t), event); err != nil || !strings.Contains(string(answer), `"statusCode":200`) {
			t.Fatalf("$connect came to %s, %v", answer, err)
		}
	}
	starts := l.Starts()
	slices.Sort(starts)
	t.Logf("starts: the fastest %v, the median %v, the slowest %v", starts[0], starts[len(starts)/2], starts[len(starts)-1])
	if starts[0] > ready {
		t.Errorf("the fastest of %d starts took %v", len(starts), starts[0])
	}
}

// largest is how large the program for arm64 may be, in bytes.
const largest = 15 << 20

// What the example's Makefile builds is small enough to be loaded fast.
func TestSize(t *testing.T) {
	const example = "../../../../examples/serverless/aws"
	cmd := exec.Command("make", "-C", example, "build")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, said)
	}
	for _, arch := range []string{"arm64", "amd64"} {
		program, err := elf.Open(filepath.Join(example, "build", arch, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		program.Close()
		if want := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64}[arch]; program.Machine != want {
			t.Errorf("the program for %s is one for %v", arch, program.Machine)
		}
		info, err := os.Stat(filepath.Join(example, "build", arch, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", arch, float64(info.Size())/1e6)
		if arch == "arm64" && info.Size() > largest {
			t.Errorf("the program for %s has %d bytes", arch, info.Size())
		}
	}
}
