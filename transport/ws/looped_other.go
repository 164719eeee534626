//go:build !linux || 386

package ws

import "net"

// socket has no use on this system: all connections are streamed.
type socket struct{}

func (c *conn) wire() wire { return c.streamed }

func (*conn) loop(net.Conn, link, []byte) bool { return false }

// looper has no use either.
type looper struct{}
