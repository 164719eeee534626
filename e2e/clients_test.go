package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// surviving is one of the programs that have to survive the scenario.
type surviving interface {
	// name is for messages.
	name() string
	// seen returns what the client has seen so far.
	seen() []record
	// calls returns how many calls were answered, and how many failed with a
	// code that says why.
	calls() (answered, failed int)
	// end closes the client and demands that nothing of it runs on.
	end()
}

// line is what a client program prints, one JSON object a line.
type line struct {
	record
	Calls *struct{ Answered, Failed int } `json:"calls,omitempty"`
	Fault string                          `json:"fault,omitempty"` // something that may not happen
	Count *counters                       `json:"count,omitempty"` // at the end, what the page counted
}

// program is a client that is a process of its own: it prints lines, and ends by
// itself after its standard input has ended.
type program struct {
	t     *testing.T
	what  string
	stdin io.Closer
	ended chan error

	mu   sync.Mutex
	all  []record // guarded by mu
	last line     // guarded by mu: the last calls and counters
}

func startProgram(t *testing.T, what, dir string, env []string, command ...string) *program {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	p := &program{t: t, what: what, stdin: stdin, ended: make(chan error, 1)}
	go func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.take(lines.Bytes())
		}
		p.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p
}

func (p *program) take(text []byte) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		p.t.Errorf("%s said %q: %v", p.what, text, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.Fault != "":
		p.t.Errorf("%s: %s", p.what, l.Fault)
	case l.Calls != nil:
		p.last.Calls = l.Calls
	case l.Count != nil:
		p.last.Count = l.Count
	default:
		p.all = append(p.all, l.record)
	}
}

func (p *program) name() string { return p.what }

func (p *program) seen() []record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]record(nil), p.all...)
}

func (p *program) calls() (answered, failed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Calls == nil {
		return 0, 0
	}
	return p.last.Calls.Answered, p.last.Calls.Failed
}

// end lets the program finish: after its client is closed nothing keeps it
// alive, so it ends by itself.
func (p *program) end() {
	p.t.Helper()
	_ = p.stdin.Close()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%s: %v", p.what, err)
		}
	case <-time.After(10 * time.Second):
		p.t.Errorf("%s: something still runs after its client was closed", p.what)
	}
}
