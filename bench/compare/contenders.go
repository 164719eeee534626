package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kanava-go/kanava/bench/load"
)

// contender is one server of the comparison.
type contender struct {
	name    string
	build   func(ctx context.Context, dir string) error
	command func(dir string) []string // without the address
	dialect *load.Dialect
	not     []string // works that it cannot do
	needs   []string // programs that build or run it
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
	}, {
		name: "kanava-http",
		build: func(ctx context.Context, dir string) error {
			return goBuild(ctx, "bench", "./server", dir, "kanava-http")
		},
		command: func(dir string) []string { return []string{filepath.Join(dir, "kanava-http"), "-http"} },
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
			name: "bun", build: npm, dialect: load.Plain, needs: []string{"node", "npm"},
			command: func(string) []string {
				return []string{filepath.Join(peers, "js", "node_modules", ".bin", "bun"), filepath.Join(peers, "js", "bun.mjs")}
			},
		},
		contender{
			name: "node-ws", build: npm, dialect: load.Plain, needs: []string{"node", "npm"},
			command: func(string) []string { return []string{"node", filepath.Join(peers, "js", "ws.mjs")} },
		},
		contender{
			name: "c-epoll", dialect: load.Plain, not: []string{"typed"}, needs: []string{"cc"},
			build: func(ctx context.Context, dir string) error {
				return quietly(exec.CommandContext(ctx, "cc", "-O2", "-o", filepath.Join(dir, "c-epoll"), filepath.Join(peers, "epoll", "epoll.c"))) //nolint:gosec // our own paths
			},
			command: func(dir string) []string { return []string{filepath.Join(dir, "c-epoll")} },
		},
	)
}

// missing says what is not there of the programs that the contenders need, and
// who has it; "" if all is.
func missing(list []contender) string {
	var out []string
	for _, program := range []struct{ name, has string }{
		{"taskset", "Debian's package util-linux"},
		{"cc", "Debian's packages gcc and libc6-dev"},
		{"node", "Debian's package nodejs, version 20 or newer"},
		{"npm", "Debian's package npm"},
	} {
		var servers []string
		for _, c := range list {
			if slices.Contains(c.needs, program.name) {
				servers = append(servers, c.name)
			}
		}
		if len(servers) == 0 && program.name != "taskset" {
			continue
		}
		if _, err := exec.LookPath(program.name); err != nil {
			text := program.name + " is in " + program.has
			if len(servers) > 0 {
				text += ", or leave out with -servers: " + strings.Join(servers, ", ")
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
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
