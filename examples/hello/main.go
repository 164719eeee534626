// Hello is a complete Kanava server: it greets whoever says a name.
package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

type Name struct {
	Name string `json:"name" minLength:"1"`
}

type Greeting struct {
	Message string `json:"message"`
}

func greet(_ context.Context, _ *kanava.Channel[kanava.None, kanava.None], in Name) (Greeting, error) {
	return Greeting{Message: "Hello, " + in.Name + "!"}, nil
}

var hello = kanava.Wiring[kanava.None, kanava.None]{Name: "hello", Route: "/hello", Public: true, OnMessage: kanava.Func(greet)}

func main() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(hello)
	server := http.Server{Addr: "localhost:3000", Handler: ws.Handler(srv, ws.Options{}), ReadHeaderTimeout: 5 * time.Second}
	log.Println("listening on ws://localhost:3000/hello")
	log.Fatal(server.ListenAndServe())
}
