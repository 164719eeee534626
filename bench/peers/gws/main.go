// Gws is the server of the comparison on lxzan/gws: replies are written by the
// goroutine that reads, events by a Broadcaster, as its README has it. Messages
// of a connection stay in order, so ParallelEnabled is off.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"github.com/kanava-go/kanava/bench/peers/app"
)

var topics app.Topics[*gws.Conn]

type handler struct{ gws.BuiltinEventHandler }

func (handler) OnClose(c *gws.Conn, _ error) { topics.Gone(c) }

func (handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	path, _ := c.Session().Load("path")
	app.Handle(conn{c}, path.(string), m.Bytes())
}

type conn struct{ *gws.Conn }

func (c conn) Reply(message []byte) { _ = c.WriteMessage(gws.OpcodeText, message) }
func (c conn) Join(topic string)    { topics.Join(topic, c.Conn) }
func (c conn) Leave(topic string)   { topics.Leave(topic, c.Conn) }

func (c conn) Publish(topic string, message []byte) {
	b := gws.NewBroadcaster(gws.OpcodeText, message)
	defer b.Close()
	topics.Each(topic, func(to *gws.Conn) { _ = b.Broadcast(to) })
}

func main() {
	up := gws.NewUpgrader(handler{}, &gws.ServerOption{Recovery: gws.Recovery, ReadMaxPayloadSize: 64 << 10})
	app.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		c.Session().Store("path", r.URL.Path)
		go c.ReadLoop()
	}))
}
