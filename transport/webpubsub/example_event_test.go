package webpubsub_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// greet lets in who says a name and answers what is said.
func greet(_ context.Context, ev *webpubsub.Event) (*webpubsub.Response, error) {
	switch ev.Type {
	case webpubsub.Connect:
		name := ev.Connecting.Query["name"]
		if len(name) != 1 {
			return nil, &webpubsub.RefusalError{Status: http.StatusUnauthorized, Text: "say your name"}
		}
		return &webpubsub.Response{Accept: webpubsub.Accept{UserID: name[0], Groups: []string{"everybody"}}}, nil
	case webpubsub.User:
		hello := fmt.Sprintf("Hello, %s! You said %q.", ev.UserID, ev.Message.Data)
		return &webpubsub.Response{Message: webpubsub.Message{Type: webpubsub.Text, Data: []byte(hello)}}, nil
	}
	return nil, nil
}

func ExampleEventHandler() {
	handler := webpubsub.EventHandler(greet, webpubsub.EventOptions{
		Hub:        "chat",
		Hosts:      []string{"name.webpubsub.azure.com"},
		AccessKeys: []string{key, key2}, // both, as the portal shows them
	})

	// In place of the service, an event as it posts it.
	event := httptest.NewRequest(http.MethodPost, "/api/webpubsub", strings.NewReader("good morning"))
	for name, value := range map[string]string{
		"WebHook-Request-Origin": "name.webpubsub.azure.com",
		"ce-specversion":         "1.0",
		"ce-type":                "azure.webpubsub.user.message",
		"ce-id":                  "1",
		"ce-time":                "2021-01-01T00:00:00Z",
		"ce-hub":                 "chat",
		"ce-connectionId":        "conn-1",
		"ce-userId":              "Ada",
		"ce-signature":           signature1 + "," + signature2,
		"Content-Type":           "text/plain",
	} {
		event.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, event)
	fmt.Println(answer.Code, answer.Body)
	// Output:
	// 200 Hello, Ada! You said "good morning".
}

// As a function app, the program is started by the host of Azure Functions; here
// it is not.
func ExampleServeFunctions() {
	os.Unsetenv("FUNCTIONS_CUSTOMHANDLER_PORT")
	mux := http.NewServeMux()
	mux.Handle("/api/webpubsub", webpubsub.EventHandler(greet, webpubsub.EventOptions{
		Hub: "chat", Hosts: []string{"name.webpubsub.azure.com"}, AccessKeys: []string{key, key2},
	}))
	err := webpubsub.ServeFunctions(context.Background(), mux)
	fmt.Println(err)
	// Output:
	// webpubsub: FUNCTIONS_CUSTOMHANDLER_PORT is no port, but "": this is for Azure Functions
}
