//go:build !race

package ws

// parallel is how many wires TestConformance tests at once, whatever the
// processors: its cases wait more than they compute.
const parallel = "7"
