//go:build !linux

package ws_test

import (
	"errors"
	"net"
	"testing"
)

// small gives the connections of a listener small buffers.
func small(_ testing.TB, l net.Listener) net.Listener { return smallListener{l} }

type smallListener struct{ net.Listener }

func (l smallListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	return nc, errors.Join(tcp.SetReadBuffer(smallBuffer), tcp.SetWriteBuffer(smallBuffer))
}
