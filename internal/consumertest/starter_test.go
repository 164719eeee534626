package consumertest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// TestFiveCommands does what the README tells a newcomer to do in an empty
// folder, but for the registry, which is one of this test.
func TestFiveCommands(t *testing.T) {
	t.Parallel()
	env, dir := proxyEnv(t), t.TempDir()
	run(t, dir, env, "go", "mod", "init", "example.com/hello")
	run(t, dir, env, "go", "get", "-tool", module+"/cmd/kanava@latest")
	run(t, dir, env, "go", "tool", "kanava", "new")
	run(t, dir, env, "go", "vet", "./...")
	run(t, dir, env, "go", "generate") // changes nothing
	run(t, dir, env, "go", "tool", "kanava", "gen", "js", ".", "-o", "page/client.js", "--check")

	binary := filepath.Join(t.TempDir(), "hello") // go run does the same, but is harder to end
	run(t, dir, env, "go", "build", "-o", binary, ".")
	ctx, stop := context.WithCancel(t.Context())
	addr := freeAddr(t)
	server := exec.CommandContext(ctx, binary, "-addr", addr)
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = server.Wait() }()
	if said, err := bufio.NewReader(stderr).ReadString('\n'); err != nil || !strings.Contains(said, "http://"+addr) {
		t.Fatalf("the server said %q, %v", said, err)
	}
	for path, holds := range map[string]string{"/": "connectHall", "/client.js": "export function connectHall("} {
		if text := fetch(t, "http://"+addr+path); !strings.Contains(text, holds) {
			t.Errorf("%s does not hold %q", path, holds)
		}
	}
	conn, _, _, err := ws.Dialer{Timeout: 10 * time.Second}.Dial(ctx, "ws://"+addr+"/hall")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte(`{"action":"greet","name":"Ada"}`)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"topic":"greetings:all","data":{"text":"Hello, Ada!"`, `{"text":"Hello, Ada!"`} {
		if got, err := wsutil.ReadServerText(conn); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("got %s, %v, want %s…", got, err, want)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	// The server says where it listens a moment before it does.
	var res *http.Response
	var err error
	for range 200 {
		if res, err = http.Get(url); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
