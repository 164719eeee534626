package webpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

func ExampleClient() {
	// In place of the service, a server that accepts everything.
	azure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Printf("%s %s %q\n", r.Method, r.URL.Path, body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer azure.Close()

	// The connection string comes from the portal, as a secret of the program.
	endpoint, key, err := webpubsub.ParseConnectionString("Endpoint=" + azure.URL + ";AccessKey=secret;Version=1.0;")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: endpoint, Hub: "chat", AccessKey: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	err = client.AddToGroup(ctx, "news", "c1")
	if errors.Is(err, webpubsub.ErrGone) {
		fmt.Println("c1 has left")
	}
	err = client.SendToGroup(ctx, "news", webpubsub.Message{Type: webpubsub.JSON, Data: []byte(`{"hello":"world"}`)}, "c2")
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// PUT /api/hubs/chat/groups/news/connections/c1 ""
	// POST /api/hubs/chat/groups/news/:send "{\"hello\":\"world\"}"
}

// A page asks the program where to connect to.
func ExampleClient_ClientURL() {
	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: "https://name.webpubsub.azure.com", Hub: "chat", AccessKey: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	address, err := client.ClientURL(context.Background(), webpubsub.Access{UserID: "ada", Groups: []string{"news"}, Valid: 5 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	before, _, _ := strings.Cut(address, "?")
	fmt.Println(before)
	// Output:
	// wss://name.webpubsub.azure.com/client/hubs/chat
}

func ExampleClient_SendToConnections() {
	azure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/hubs/chat/connections/c2/:send" {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer azure.Close()

	client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: azure.URL, Hub: "chat", AccessKey: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := slices.Values([]string{"c1", "c2", "c3"})
	for id, err := range client.SendToConnections(context.Background(), ids, webpubsub.Message{Type: webpubsub.Text, Data: []byte("hello")}) {
		fmt.Println(id, errors.Is(err, webpubsub.ErrGone))
	}
	// Output:
	// c2 true
}
