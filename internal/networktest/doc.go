// Package networktest tests the Go client and the WebSocket transport over a
// network that fails: slow, cut, reset, silent. It is a module of its own,
// because the proxy that does all that brings dependencies that no user of
// Kanava should have to trust.
package networktest
