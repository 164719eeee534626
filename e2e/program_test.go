package e2e

import "testing"

// Programs in JavaScript: one file, three runtimes.
func init() {
	for name, command := range map[string][]string{
		"node":   {"node_modules/.bin/node"},
		"node20": {"node"}, // has no WebSocket: it is given one
		"bun":    {"node_modules/.bin/bun"},
		"deno":   {"node_modules/.bin/deno", "run", "--allow-net=127.0.0.1", "--allow-read", "--allow-env"},
	} {
		clients[name] = func(t *testing.T, net *network) surviving {
			return startProgram(t, name, "js", nil, append(command, "client.mjs", net.url(""))...)
		}
	}
}
