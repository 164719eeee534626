package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/kanava-go/kanava/bench/load"
)

// contender is one server of the comparison.
type contender struct {
	name    string
	build   func(ctx context.Context, dir string) error
	command func(dir string) []string // without the address
	dialect *load.Dialect
	not     []string // works that it cannot do
}

func (c contender) called() string { return c.name }

func (c contender) can(w work) bool {
	return !slices.Contains(c.not, w.name)
}

var peers = filepath.Join("bench", "peers")

func contenders() []contender {
	list := []contender{{
		name:    "kanava",
		build:   func(ctx context.Context, dir string) error { return goBuild(ctx, "bench", "./server", dir, "kanava") },
		command: func(dir string) []string { return []string{filepath.Join(dir, "kanava")} },
		dialect: load.Plain,
	}}
	for _, name := range []string{"gws", "gorilla", "coder", "nbio", "centrifuge"} {
		c := contender{
			name:    name,
			build:   func(ctx context.Context, dir string) error { return goBuild(ctx, peers, "./"+name, dir, name) },
			command: func(dir string) []string { return []string{filepath.Join(dir, name)} },
			dialect: load.Plain,
		}
		if name == "centrifuge" {
			c.dialect, c.not = load.Centrifuge, []string{"echo", "open", "rounds"}
		}
		list = append(list, c)
	}
	return append(list,
		contender{
			name: "bun", build: npm, dialect: load.Plain,
			command: func(string) []string {
				return []string{filepath.Join(peers, "js", "node_modules", ".bin", "bun"), filepath.Join(peers, "js", "bun.mjs")}
			},
		},
		contender{
			name: "node-ws", build: npm, dialect: load.Plain,
			command: func(string) []string { return []string{"node", filepath.Join(peers, "js", "ws.mjs")} },
		},
		contender{
			name: "c-epoll", dialect: load.Plain, not: []string{"typed"},
			build: func(ctx context.Context, dir string) error {
				return quietly(exec.CommandContext(ctx, "cc", "-O2", "-o", filepath.Join(dir, "c-epoll"), filepath.Join(peers, "epoll", "epoll.c"))) //nolint:gosec // our own paths
			},
			command: func(dir string) []string { return []string{filepath.Join(dir, "c-epoll")} },
		},
	)
}

func goBuild(ctx context.Context, module, pkg, dir, name string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), pkg) //nolint:gosec // our own paths
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return quietly(cmd)
}

// npm installs what the servers on JavaScript need, unless it is there.
func npm(ctx context.Context, _ string) error {
	js := filepath.Join(peers, "js")
	if _, err := os.Stat(filepath.Join(js, "node_modules", ".bin", "bun")); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = js
	return quietly(cmd)
}

// quietly runs a command and shows its output only if it fails.
func quietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
