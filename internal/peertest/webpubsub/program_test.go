package webpubsub_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// m is one line that a program says or is told.
type m = map[string]any

// program is one of those in js, with one of Microsoft's packages in it.
type program struct {
	t      *testing.T
	in     io.WriteCloser
	events chan m // what happens by itself, in order

	mu      sync.Mutex
	asked   int            // guarded by mu
	answers map[int]chan m // guarded by mu
}

// run starts a program. It ends with the test: by itself, when its input does.
func run(t *testing.T, script string, args ...string) *program {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("there is no Node: install Debian's package nodejs: %v", err)
	}
	if _, err := os.Stat("js/node_modules"); err != nil {
		t.Fatalf("Microsoft's packages are not installed; make peers does it: %v", err)
	}
	p := &program{t: t, events: make(chan m, 1000), answers: map[int]chan m{}}
	var wrong bytes.Buffer
	cmd := exec.Command(node, append([]string{script}, args...)...)
	cmd.Dir, cmd.Stderr = "js", &wrong
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.listen(out)
	}()
	t.Cleanup(func() {
		p.in.Close()
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if wrong.Len() > 0 && t.Failed() {
			t.Logf("%s: %s", script, &wrong)
		}
	})
	return p
}

func (p *program) listen(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line m
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			p.t.Errorf("a program said %q: %v", lines.Text(), err)
			continue
		}
		re, answer := line["re"].(float64)
		if !answer {
			p.events <- line
			continue
		}
		p.mu.Lock()
		p.answers[int(re)] <- line
		p.mu.Unlock()
	}
}

// do has the program do something, and returns its result, or its error.
func (p *program) do(name string, args m) (out any, status int, err string) {
	p.t.Helper()
	answer := make(chan m, 1)
	p.mu.Lock()
	p.asked++
	line := m{"id": p.asked, "do": name}
	p.answers[p.asked] = answer
	p.mu.Unlock()
	maps.Copy(line, args)
	b, jsonErr := json.Marshal(line)
	if jsonErr != nil {
		p.t.Fatal(jsonErr)
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		p.t.Fatal(err)
	}
	got := within(p.t, name, answer)
	if text, failed := got["error"].(string); failed {
		status, _ := got["status"].(float64)
		return nil, int(status), text
	}
	return got["out"], 0, ""
}

// must is do where an error is a fault.
func (p *program) must(name string, args m) any {
	p.t.Helper()
	out, status, err := p.do(name, args)
	if err != "" {
		p.t.Fatalf("%s %v: %d %s", name, args, status, err)
	}
	return out
}

// next returns what happens next.
func (p *program) next() m {
	p.t.Helper()
	return within(p.t, "an event", p.events)
}

// within takes the next value of a channel, which must come.
func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatalf("%s never came", what)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
		return v
	}
}
