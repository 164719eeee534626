package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the go command, with the package that the user names
	cmd.Dir = dir
	return cmd
}

// runProgram builds a program and runs it until it has written its manifest.
func (s *source) runProgram(ctx context.Context, p program, args []string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kanava-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()    // the system empties it otherwise
	binary := filepath.Join(dir, "program.exe") // no system minds the suffix
	if out, err := goCommand(ctx, p.in, "build", "-o", binary, "--", p.ImportPath).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s does not build:\n%s", p.ImportPath, tail(out))
	}
	file := filepath.Join(dir, "kanava.json")
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, binary, args...) //nolint:gosec // what the user wants to run
	cmd.Env = append(os.Environ(), "KANAVA_MANIFEST="+file)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	raw, missing := os.ReadFile(file) //nolint:gosec // in a folder of ours
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s ran for %v without making a handler such as ws.Handler (see --timeout):\n%s", p.ImportPath, s.timeout, tail(out))
	case err != nil:
		return nil, fmt.Errorf("%s failed before it made a handler: %w\n%s", p.ImportPath, err, tail(out))
	case errors.Is(missing, fs.ErrNotExist):
		return nil, fmt.Errorf("%s ended before it made a handler such as ws.Handler, where it would have written the manifest:\n%s", p.ImportPath, tail(out))
	}
	return raw, missing
}

// tail returns the end of what a program said, indented.
func tail(out []byte) string {
	const most = 30
	lines := bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n"))
	if len(lines) > most {
		lines = append([][]byte{[]byte("…")}, lines[len(lines)-most:]...)
	}
	var b bytes.Buffer
	for _, line := range lines {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return string(bytes.TrimRight(b.Bytes(), " \n"))
}
