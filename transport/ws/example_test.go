package ws_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

type Name struct {
	Name string `json:"name"`
}

type Greeting struct {
	Message string `json:"message"`
}

func greet(_ context.Context, _ *kanava.Channel[kanava.None, kanava.None], in Name) (Greeting, error) {
	return Greeting{"Hello, " + in.Name + "!"}, nil
}

func ExampleHandler() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "hello", Route: "/hello", Public: true, OnMessage: kanava.Func(greet)})

	mux := http.NewServeMux()
	mux.Handle("/hello", ws.Handler(srv, ws.Options{}))
	web := httptest.NewServer(mux)
	defer web.Close()

	// Any WebSocket client will do.
	ctx := context.Background()
	conn, _, _, err := gobwas.Dial(ctx, "ws"+strings.TrimPrefix(web.URL, "http")+"/hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte(`{"name":"Ada"}`)); err != nil {
		fmt.Println(err)
		return
	}
	reply, err := wsutil.ReadServerText(conn)
	fmt.Println(string(reply), err)
	// Output: {"message":"Hello, Ada!"} <nil>
}

// A port that serves nothing but WebSocket connections needs no net/http.
func ExampleServer() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "hello", Route: "/hello", Public: true, OnMessage: kanava.Func(greet)})
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	addr, server, over := listener.Addr().String(), ws.NewServer(srv, ws.Options{}), make(chan error)
	go func() { over <- server.Serve(listener) }()

	ctx := context.Background()
	conn, _, _, err := gobwas.Dial(ctx, "ws://"+addr+"/hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte(`{"name":"Ada"}`)); err != nil {
		fmt.Println(err)
		return
	}
	reply, err := wsutil.ReadServerText(conn)
	fmt.Println(string(reply), err)

	conn.Close()
	fmt.Println(server.Shutdown(ctx), srv.Shutdown(ctx)) // no new connections, then the end of the others
	fmt.Println(<-over)
	// Output:
	// {"message":"Hello, Ada!"} <nil>
	// <nil> <nil>
	// ws: Server closed
}

// One route can serve WebSocket clients and, to all others, something else.
func ExampleOptions() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") })
	handler := ws.Handler(srv, ws.Options{Fallback: page})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/chat", nil))
	fmt.Println(w.Body)
	// Output: a page
}
