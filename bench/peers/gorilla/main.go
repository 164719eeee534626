// Gorilla is the server of the comparison on gorilla/websocket: one goroutine
// that reads and one that writes for each connection, and prepared messages for
// what goes to many, as its examples have it.
package main

import (
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/kanava-go/kanava/bench/peers/app"
)

var (
	upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	topics   app.Topics[*conn]
)

type conn struct {
	ws  *websocket.Conn
	out chan any // []byte or *websocket.PreparedMessage
}

func main() {
	app.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &conn{ws, make(chan any, 256)}
		go c.write()
		go c.read(r.URL.Path)
	}))
}

func (c *conn) read(path string) {
	defer func() {
		topics.Gone(c)
		close(c.out)
	}()
	c.ws.SetReadLimit(64 << 10)
	for {
		_, message, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		app.Handle(c, path, message)
	}
}

func (c *conn) write() {
	defer c.ws.Close()
	for m := range c.out {
		var err error
		if p, ok := m.(*websocket.PreparedMessage); ok {
			err = c.ws.WritePreparedMessage(p)
		} else {
			err = c.ws.WriteMessage(websocket.TextMessage, m.([]byte))
		}
		if err != nil {
			return
		}
	}
}

func (c *conn) Reply(message []byte) { c.out <- message }
func (c *conn) Join(topic string)    { topics.Join(topic, c) }
func (c *conn) Leave(topic string)   { topics.Leave(topic, c) }

func (c *conn) Publish(topic string, message []byte) {
	p, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		return
	}
	topics.Each(topic, func(to *conn) { to.out <- p })
}
