// Coder is the server of the comparison on coder/websocket, built as its chat
// example: each connection has a channel of what is to be written.
package main

import (
	"context"
	"net/http"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/bench/peers/app"
)

var topics app.Topics[*conn]

type conn struct {
	ws  *websocket.Conn
	out chan []byte
}

func main() {
	app.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(64 << 10)
		c := &conn{ws, make(chan []byte, 256)}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go c.write(ctx)
		defer topics.Gone(c)
		for {
			_, message, err := ws.Read(ctx)
			if err != nil {
				return
			}
			app.Handle(c, r.URL.Path, message)
		}
	}))
}

func (c *conn) write(ctx context.Context) {
	for {
		select {
		case m := <-c.out:
			if err := c.ws.Write(ctx, websocket.MessageText, m); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *conn) Reply(message []byte) { c.out <- message }
func (c *conn) Join(topic string)    { topics.Join(topic, c) }
func (c *conn) Leave(topic string)   { topics.Leave(topic, c) }

func (c *conn) Publish(topic string, message []byte) {
	topics.Each(topic, func(to *conn) { to.out <- message })
}
