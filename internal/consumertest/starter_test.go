package consumertest

import (
	"bufio"
	"context"
	"io"
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
	server := exec.CommandContext(ctx, binary, "-addr", "127.0.0.1:0")
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = server.Wait() }()
	said, err := bufio.NewReader(stderr).ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(said), "open http://")
	if err != nil || !ok {
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

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
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
