package emulate

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take until it serves: it needs two seconds
// of a processor, which others may use.
const patience = 2 * time.Minute

// program is one of the emulators.
type program struct {
	name  string
	dir   string   // it runs here
	env   []string // beside what every program gets
	args  []string // the script, relative to the folder js, and its arguments
	ready []string // what it says once it serves
}

// start starts a program and waits until it serves. It ends with the test, and
// what it said is in the test's log if that failed.
func (p program) start(tb testing.TB) {
	tb.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Fatalf("emulate: there is no Node: install Node 20 or newer, then \"make aws\": %v", err)
	}
	script := scripts(tb, p.args[0])
	if _, err := os.Stat(script); err != nil {
		tb.Fatalf("emulate: %s is not installed, \"make aws\" does that: %v", p.name, err)
	}
	said := new(transcript)
	cmd := exec.Command(node, append([]string{"--require", scripts(tb, "tether.cjs"), script}, p.args[1:]...)...)
	cmd.Dir = p.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + tb.TempDir(), // its settings, and not those of who runs the test
		"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}, p.env...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts ends with it
	cmd.WaitDelay = time.Second
	if _, err := cmd.StdinPipe(); err != nil { // tether.cjs says what for
		tb.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() { // ends with the program
		defer close(ended)
		err := cmd.Wait()
		end(errors.Join(errors.New("the program has ended"), err))
	}()
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if tb.Failed() {
			tb.Logf("%s said:\n%s", p.name, said)
		}
	})
	if err := said.until(ctx, p.ready...); err != nil {
		tb.Fatalf("emulate: %s does not serve: %v", p.name, err)
	}
	tb.Logf("%s served after %v", p.name, time.Since(began).Round(time.Millisecond))
}

// scripts returns the path of something in the folder js.
func scripts(tb testing.TB, name string) string {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	if !filepath.IsAbs(here) {
		tb.Fatal("emulate: built with -trimpath, a test does not find the folder js")
	}
	return filepath.Join(filepath.Dir(here), "js", name)
}
