//go:build !linux || 386

package ws

import "net"

// looped has no use on this system: all connections are streamed.
type looped struct{}

func (*conn) loop(net.Conn, link, []byte) bool { return false }
