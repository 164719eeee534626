package webpubsub_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// A channel behind Azure Web PubSub. The service asks first whether it may post events.
func ExampleHandler() {
	endpoint, key, err := webpubsub.ParseConnectionString("Endpoint=https://name.webpubsub.azure.com;AccessKey=c2VjcmV0;Version=1.0;")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: endpoint, Hub: "chat", AccessKey: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := kanava.NewServer(kanava.Options[string]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*string, error) {
			user := webpubsub.TokenOf(r).UserID // which the service has checked
			return &user, nil
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, string]{
		Name: "chat", Route: "/chat",
		OnMessage: kanava.Func(func(_ context.Context, ch *kanava.Channel[kanava.None, string], text string) (string, error) {
			return ch.Session() + " says " + text, nil
		}),
	})
	mux := http.NewServeMux()
	mux.Handle("/api/webpubsub", webpubsub.Handler(srv, webpubsub.Options{Store: memory.NewStore(), Client: client}))

	r := httptest.NewRequest(http.MethodOptions, "/api/webpubsub", http.NoBody)
	r.Header.Set("WebHook-Request-Origin", "name.webpubsub.azure.com")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, r)
	fmt.Println(answer.Code, answer.Header().Get("WebHook-Allowed-Origin"))
	// Output: 200 name.webpubsub.azure.com
}

// Clients ask where to connect; who they are the program finds out in its own way.
func ExampleNegotiate() {
	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: "https://name.webpubsub.azure.com", Hub: "chat", AccessKey: "c2VjcmV0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := webpubsub.Negotiate(client, func(_ context.Context, r *http.Request) (webpubsub.Access, error) {
		user, _, ok := r.BasicAuth()
		if !ok {
			return webpubsub.Access{}, &webpubsub.RefusalError{Status: http.StatusUnauthorized, Text: "who are you?"}
		}
		return webpubsub.Access{UserID: user}, nil
	})
	r := httptest.NewRequest(http.MethodGet, "/api/negotiate", http.NoBody)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	fmt.Println(answer.Code, answer.Body)

	r.SetBasicAuth("ann", "her password")
	answer = httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	body, _, _ := strings.Cut(answer.Body.String(), "?")
	fmt.Println(answer.Code, body)
	// Output:
	// 401 who are you?
	// 200 {"url":"wss://name.webpubsub.azure.com/client/hubs/chat
}
