//go:build race && !386

package ws

import "syscall"

// The race detector knows of what one end of a socket writes and the other
// reads by the functions of package syscall, which are not used here: without
// this it would report tests in which both ends are of one process.

// received comes behind each receive.
func received(fd int) { _, _ = syscall.Read(fd, nil) }

// sending comes before each send.
func sending() { _, _ = syscall.Write(-1, nil) }
