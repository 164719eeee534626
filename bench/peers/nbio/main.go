// Nbio is the server of the comparison on lesismal/nbio: its own event loop and
// HTTP server, as its websocket example has it.
package main

import (
	"log"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/kanava-go/kanava/bench/peers/app"
)

var topics app.Topics[*websocket.Conn]

type conn struct{ *websocket.Conn }

func (c conn) Reply(message []byte) { _ = c.WriteMessage(websocket.TextMessage, message) }
func (c conn) Join(topic string)    { topics.Join(topic, c.Conn) }
func (c conn) Leave(topic string)   { topics.Leave(topic, c.Conn) }

func (c conn) Publish(topic string, message []byte) {
	topics.Each(topic, func(to *websocket.Conn) { _ = to.WriteMessage(websocket.TextMessage, message) })
}

func main() {
	logging.SetLevel(logging.LevelError)
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{app.Addr()},
		ReadLimit:               64 << 10,
		ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := r.URL.Path
			up := websocket.NewUpgrader()
			up.CheckOrigin = func(*http.Request) bool { return true }
			up.OnMessage(func(c *websocket.Conn, _ websocket.MessageType, message []byte) {
				app.Handle(conn{c}, path, message)
			})
			up.OnClose(func(c *websocket.Conn, _ error) { topics.Gone(c) })
			_, _ = up.Upgrade(w, r, nil)
		}),
	})
	if err := engine.Start(); err != nil {
		log.Fatal(err)
	}
	select {}
}
