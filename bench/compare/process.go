package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The server has the first CPU for itself, the load the others.
const serverCPU = "0"

// pinned makes this program run beside the server's CPU: it starts itself again
// there, and ends with it, unless it is there already.
func pinned(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return errors.New("this needs Linux: CPU time and memory are read from /proc")
	}
	const mark = "KANAVA_COMPARE_PINNED"
	if os.Getenv(mark) != "" {
		return nil
	}
	n := runtime.NumCPU()
	if n < 2 {
		return errors.New("this needs two CPUs: one for the server, one for the load")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", fmt.Sprintf("1-%d", n-1), self}, os.Args[1:]...)...) //nolint:gosec // this program itself
	cmd.Env = append(os.Environ(), mark+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	}
	return err
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string
	said *bytes.Buffer
	took time.Duration // from its start to the first connection that it took
	done chan struct{}
}

// start runs a server on the server's CPU and waits until it can be reached.
func start(ctx context.Context, command []string) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	args := append(append([]string{"-c", serverCPU}, command...), "-addr", addr)
	p := &process{cmd: exec.CommandContext(ctx, "taskset", args...), addr: addr, said: &bytes.Buffer{}, done: make(chan struct{})} //nolint:gosec // a server of the comparison
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	for time.Since(begun) < 20*time.Second {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			p.took = time.Since(begun)
			return p, c.Close()
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("the server has ended: %s", p.said)
		case <-time.After(2 * time.Millisecond):
		}
	}
	p.kill()
	return nil, fmt.Errorf("the server does not listen: %s", p.said)
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// cpu returns the user and system time of the process so far: its CPU clock,
// see clock_getcpuclockid(3).
func (p *process) cpu() (time.Duration, error) {
	const schedulerClock = 2
	var t unix.Timespec
	err := unix.ClockGettime(int32(^p.cmd.Process.Pid)<<3|schedulerClock, &t)
	return time.Duration(t.Nano()), err
}

// memory returns the resident set in bytes.
func (p *process) memory() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm is %q", text)
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}
