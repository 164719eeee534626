package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What "kanava new" writes is proven by the newcomer's five commands, in
// internal/consumertest. Here it is what it does not write.
func TestNewRefuses(t *testing.T) {
	module := t.TempDir()
	if err := os.WriteFile(filepath.Join(module, "go.mod"), []byte("module example.com/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(module, "page")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(taken, "index.html"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/x\n", "shop.go": "package shop\n"} {
		if err := os.WriteFile(filepath.Join(inUse, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A module whose dependencies cannot be had.
	alone := t.TempDir()
	if err := os.WriteFile(filepath.Join(alone, "go.mod"), []byte("module example.com/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "off")
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"new", t.TempDir()}, 1, "go mod init"},
		{[]string{"new", filepath.Join(module, "nowhere")}, 1, "is no folder"},
		{[]string{"new", module}, 1, "index.html is there already: nothing was written"},
		{[]string{"new", inUse}, 1, "has Go files already, such as shop.go: nothing was written"},
		{[]string{"new", alone}, 1, `when "go mod tidy" works, "go generate" writes the client that is missing`},
		{[]string{"new", "a", "b"}, 2, "takes one folder"},
	} {
		t.Setenv("GOWORK", "off")
		code, _, stderr := kanavaRun(t, tc.args...)
		if code != tc.code || !strings.Contains(stderr, tc.says) {
			t.Errorf("%v: exit code %d, said %s", tc.args, code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(module, "main.go")); err == nil {
		t.Error("a file was written")
	}
	if entries, err := os.ReadDir(inUse); err != nil || len(entries) != 2 {
		t.Errorf("the folder with another program holds %v, %v", entries, err)
	}
	if text, err := os.ReadFile(filepath.Join(taken, "index.html")); err != nil || string(text) != "mine" {
		t.Errorf("a file that was there holds %q, %v", text, err)
	}
}
