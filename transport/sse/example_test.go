package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
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

// The channel is there for both, WebSocket and server-sent events.
func ExampleHandler() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "hello", Route: "/hello", Public: true, OnMessage: kanava.Func(greet)})

	mux := http.NewServeMux()
	mux.Handle("/hello", ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}))
	web := httptest.NewServer(mux)
	defer web.Close()

	// Any client of HTTP will do. It reads events from one request,
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	listen, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/hello", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	listen.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(listen)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer events.Body.Close()

	// and says something by another.
	say, err := http.NewRequestWithContext(ctx, http.MethodPost, web.URL+"/hello", strings.NewReader(`{"name":"Ada"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	say.Header.Set("Content-Type", "application/json")
	say.Header.Set("Kanava-Up", events.Header.Get("Kanava-Up"))
	say.Header.Set("Kanava-Seq", "1")
	answer, err := http.DefaultClient.Do(say)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)

	for lines := bufio.NewScanner(events.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: {") {
			fmt.Println(lines.Text())
			break
		}
	}
	// Output:
	// 204 No Content
	// data: {"message":"Hello, Ada!"}
}
