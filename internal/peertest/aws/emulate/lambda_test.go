package emulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// echo is the event of a message whose function returns its text.
func echo(text string) []byte {
	body := `{"do":"return","text":` + strconv.Quote(text) + `}`
	return []byte(`{"requestContext":{"eventType":"MESSAGE","routeKey":"$default","connectionId":"c"},"body":` + strconv.Quote(body) + `}`)
}

// fail is the event of a message that the function fails at.
const fail = `{"requestContext":{"eventType":"MESSAGE","connectionId":"c"},"body":"{\"do\":\"fail\",\"text\":\"secret\"}"}`

func TestInvoke(t *testing.T) {
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap})
	out, err := l.Invoke(limit(t), echo("hello"))
	var res struct {
		StatusCode int
		Body       string
	}
	if err != nil || json.Unmarshal(out, &res) != nil || res.StatusCode != http.StatusOK || res.Body != "hello" {
		t.Errorf("got %s and %v", out, err)
	}
	var failed *emulate.FunctionError
	if _, err := l.Invoke(limit(t), []byte(fail)); !errors.As(err, &failed) || failed.Message != "secret" || failed.Type != "errorString" {
		t.Errorf("got %v, want the function's error", err)
	}
	exit := strings.ReplaceAll(fail, "fail", "exit")
	if _, err := l.Invoke(limit(t), []byte(exit)); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the process's end", err)
	}
	if _, err := l.Invoke(limit(t), echo("again")); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Lambda's own sample events, of aws-lambda-go, reach the function too.
func TestInvokeSamples(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t)
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap, Env: []string{"PROBE_WITNESS=" + w.url}})
	for name, route := range map[string]string{
		"apigw-websocket-request":            "$connect",
		"apigw-websocket-request-disconnect": "$disconnect",
		"apigw-v2-request-no-authorizer":     "$default",
	} {
		sample, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "events/testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := l.Invoke(limit(t), sample); err != nil || !strings.Contains(string(out), `"statusCode":20`) {
			t.Errorf("%s: got %s and %v", name, out, err)
		}
		if e := <-w.events; e.RequestContext.RouteKey != route {
			t.Errorf("%s: route key %q, want %q", name, e.RequestContext.RouteKey, route)
		}
	}
}

// A process that has nothing to do is used again, and stands still until then.
func TestProcessesAreWarm(t *testing.T) {
	w := newWitness(t)
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap, Env: []string{"PROBE_WITNESS=" + w.url}})
	for range 3 {
		if _, err := l.Invoke(limit(t), echo("")); err != nil {
			t.Fatal(err)
		}
		for ctx := limit(t); l.Still() == 0; {
			if ctx.Err() != nil {
				t.Fatal("the process does not stand still after its event")
			}
		}
	}
	if starts := l.Starts(); len(starts) != 1 {
		t.Errorf("3 events started %d processes", len(starts))
	}
}

func TestFreshProcesses(t *testing.T) {
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap, Fresh: true})
	const n = 3
	for range n {
		if _, err := l.Invoke(limit(t), echo("")); err != nil {
			t.Fatal(err)
		}
	}
	starts := l.Starts()
	if len(starts) != n {
		t.Errorf("%d events started %d processes", n, len(starts))
	}
	t.Logf("ready after %v", starts)
}

// Killed, or too late: in both cases the event fails, and the next one meets a
// new process.
func TestProcessEndsAtAnEvent(t *testing.T) {
	w := newWitness(t)
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap, Env: []string{"PROBE_WITNESS=" + w.url}})
	held, leave := make(chan struct{}, 1), make(chan struct{})
	hold := func(seen) { held <- struct{}{}; <-leave }
	w.hold.Store(&hold)
	defer close(leave)

	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { _, err := l.Invoke(ctx, echo("")); failed <- err }()
	<-held
	if n := l.Kill(); n != 1 {
		t.Errorf("killed %d processes, want 1", n)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v, want that the process was killed", err)
	}
	go func() { _, err := l.Invoke(ctx, echo("")); failed <- err }()
	<-held
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	for limited := limit(t); len(l.Processes()) > 0; {
		if limited.Err() != nil {
			t.Fatal("the process that did not answer in time lives")
		}
	}
	w.hold.Store(nil)
	if _, err := l.Invoke(limit(t), echo("")); err != nil {
		t.Error(err)
	}
}

// What is not a bootstrap fails its event at once.
func TestNoBootstrap(t *testing.T) {
	began := time.Now()
	for _, path := range []string{"/bin/true", "/does/not/exist"} {
		l := emulate.NewLambda(t, emulate.Function{Bootstrap: path})
		if out, err := l.Invoke(limit(t), echo("")); err == nil {
			t.Errorf("%s: got %s", path, out)
		}
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("took %v", took)
	}
}
