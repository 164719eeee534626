package ws

import (
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
)

// A connection that waits has a budget: what only a busy one needs stands behind
// pointers.
func TestMemoryOfAnIdleConnection(t *testing.T) {
	const budget = 160 // a size class of Go; the next is 176
	if got := unsafe.Sizeof(conn{}); got > budget {
		t.Errorf("%d bytes, the budget is %d", got, budget)
	}
}

// What is borrowed for a message, or part of one, is given back with its end.
func TestIdleConnectionReadsNothing(t *testing.T) {
	l, c := connectTCP(t, Options{})
	hello := message("hello")
	for _, part := range [][]byte{hello[:1], hello[1:4], hello[4:], append(hello, hello[:3]...), hello[3:]} {
		c.write(part)
	}
	for len(l.messages()) < 3 {
		c.write([]byte{0x89, 0x80, 0, 0, 0, 0}) // a ping, whose answer says that the server has read so far
		c.want(ws.OpPong, "")
	}
	c.nc.Close()
	<-l.ended
	if l.peer.reading != nil {
		t.Error("the connection has a parser still")
	}
}
