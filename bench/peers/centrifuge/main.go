// Centrifuge is the server of the comparison on centrifugal/centrifuge, talked to
// in its own JSON protocol: RPC for the typed echo, its channels for topics,
// without history or presence.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/kanava-go/kanava/bench/peers/app"
)

type say struct {
	Message string `json:"message"`
}

type said struct {
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"`
}

func main() {
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError, ClientChannelLimit: 128})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, cb centrifuge.SubscribeCallback) {
			cb(centrifuge.SubscribeReply{}, nil)
		})
		c.OnPublish(func(_ centrifuge.PublishEvent, cb centrifuge.PublishCallback) { cb(centrifuge.PublishReply{}, nil) })
		c.OnRPC(func(e centrifuge.RPCEvent, cb centrifuge.RPCCallback) {
			var in say
			if err := json.Unmarshal(e.Data, &in); err != nil || len(in.Message) > 1024 || e.Method != "echo" {
				cb(centrifuge.RPCReply{}, centrifuge.ErrorBadRequest)
				return
			}
			out, err := json.Marshal(said{in.Message, time.Now().UnixMilli()})
			cb(centrifuge.RPCReply{Data: out}, err)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	app.Serve(http.HandlerFunc(centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin: func(*http.Request) bool { return true },
	}).ServeHTTP))
}
