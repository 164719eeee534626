package emulate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/internal/testport"
)

// Sandbox starts Architect's sandbox with this function, and returns when it
// serves. A custom route "x" has the route key "$x" there.
func Sandbox(tb testing.TB, fn Function) *Gateway {
	tb.Helper()
	if fn.Authorizer != "" || fn.RouteResponse {
		tb.Fatal("emulate: the sandbox has neither authorizers nor route responses")
	}
	if _, err := exec.LookPath("ps"); err != nil { // it ends its functions with that, and dies without
		tb.Fatalf("emulate: the sandbox needs ps; install Debian's package procps: %v", err)
	}
	port, internal := testport.Port(tb), strconv.Itoa(testport.Port(tb))
	gw := &Gateway{
		URL:        "ws://127.0.0.1:" + strconv.Itoa(port),
		HTTP:       "http://127.0.0.1:" + strconv.Itoa(port),
		Management: "http://127.0.0.1:" + internal + "/_arc/ws",
	}
	env := map[string]string{management: gw.Management}
	for _, variable := range fn.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}

	// The sandbox gives its functions to a shell, and this must not meet a space.
	dir := tb.TempDir()
	app := []string{
		"@app", service,
		"@aws", "runtime golang", "timeout " + strconv.Itoa(int(Timeout.Seconds())),
		"@plugins", "golang",
		"@http", "any /*",
		"@ws",
	}
	link(tb, fn.Bootstrap, filepath.Join(dir, "build/http/any-catchall/bootstrap"))
	for _, route := range append([]string{"connect", "default", "disconnect"}, fn.Routes...) {
		link(tb, fn.Bootstrap, filepath.Join(dir, "build/ws", route, "bootstrap"))
	}
	app = append(app, fn.Routes...)
	link(tb, scripts(tb, "golang.cjs"), filepath.Join(dir, "src/plugins/golang.js"))
	if err := os.WriteFile(filepath.Join(dir, "app.arc"), []byte(strings.Join(app, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	program{
		name:  "the sandbox",
		dir:   dir,
		env:   []string{"ARC_INTERNAL_PORT=" + internal},
		args:  []string{"sandbox.cjs", string(mustJSON(tb, map[string]any{"port": port, "env": env}))},
		ready: []string{"Sandbox successfully started"},
	}.start(tb)
	return gw
}
