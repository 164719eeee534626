package e2e

import "testing"

// script starts client.mjs with a run-time of JavaScript, over one transport.
func script(name, transport string, command ...string) func(*testing.T, *network) surviving {
	return func(t *testing.T, net *network) surviving {
		return startProgram(t, name, "js", nil, append(command, "client.mjs", net.url(""), transport)...)
	}
}
