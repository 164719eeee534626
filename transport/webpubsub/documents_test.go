package webpubsub_test

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// The requests that Microsoft documents, with names in the place of {names}:
// https://learn.microsoft.com/azure/azure-web-pubsub/reference-cloud-events (as of
// 8 November 2021, the last change of the protocol there). Fields that are the same
// in all of them stand in common.
const common = `Host: xxxxxx
WebHook-Request-Origin: name.webpubsub.azure.com
ce-specversion: 1.0
ce-source: /hubs/chat/client/conn-1
ce-id: 7
ce-time: 2021-01-01T00:00:00Z
ce-signature: ` + signature1 + `,` + signature2 + `
ce-userId: ann
ce-connectionId: conn-1
ce-hub: chat
`

func TestDocumentedEvents(t *testing.T) {
	event := func(typ webpubsub.EventType, name string, change func(*webpubsub.Event)) *webpubsub.Event {
		ev := &webpubsub.Event{
			Type: typ, Name: name, ID: "7", Hub: "chat", ConnectionID: "conn-1", UserID: "ann",
			Time: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		change(ev)
		return ev
	}
	const state = "eyJrZXkiOiJhIn0=" // {"key":"a"}
	for _, tc := range []struct {
		name, header, body string
		want               *webpubsub.Event
	}{
		{
			"connect",
			`Content-Type: application/json; charset=utf-8
ce-type: azure.webpubsub.sys.connect
ce-eventName: connect
`,
			`{
    "claims": {"sub": ["ann"], "role": ["a", "b"]},
    "query": {"room": ["1", "2"]},
    "headers": {"Host": ["name.webpubsub.azure.com"]},
    "subprotocols": ["protocol1", "protocol2"],
    "clientCertificates": [
        {
            "thumbprint": "ABC",
            "content": "-----BEGIN CERTIFICATE-----\r\n...\r\n-----END CERTIFICATE-----"
        }
    ]
}`,
			event(webpubsub.Connect, "connect", func(ev *webpubsub.Event) {
				ev.Connecting = &webpubsub.Connecting{
					Claims:       map[string][]string{"sub": {"ann"}, "role": {"a", "b"}},
					Query:        map[string][]string{"room": {"1", "2"}},
					Headers:      map[string][]string{"Host": {"name.webpubsub.azure.com"}},
					Subprotocols: []string{"protocol1", "protocol2"},
					Certificates: []webpubsub.Certificate{{"ABC", "-----BEGIN CERTIFICATE-----\r\n...\r\n-----END CERTIFICATE-----"}},
				}
			}),
		},
		{
			"connected",
			`Content-Type: application/json; charset=utf-8
ce-type: azure.webpubsub.sys.connected
ce-eventName: connected
ce-subprotocol: abc
ce-connectionState: eyJrZXkiOiJhIn0=
`,
			`{}`,
			event(webpubsub.Connected, "connected", func(ev *webpubsub.Event) { ev.Subprotocol, ev.State = "abc", state }),
		},
		{
			"disconnected",
			`Content-Type: application/json; charset=utf-8
ce-type: azure.webpubsub.sys.disconnected
ce-eventName: disconnected
ce-subprotocol: abc
ce-connectionState: eyJrZXkiOiJhIn0=
`,
			`{
    "reason": "{Reason}"
}`,
			event(webpubsub.Disconnected, "disconnected", func(ev *webpubsub.Event) { ev.Subprotocol, ev.State, ev.Reason = "abc", state, "{Reason}" }),
		},
		{
			"message of a simple client, text frame",
			`Content-Type: text/plain
ce-type: azure.webpubsub.user.message
ce-eventName: message
ce-connectionState: eyJrZXkiOiJhIn0=
`,
			`UserPayload`,
			event(webpubsub.User, "message", func(ev *webpubsub.Event) {
				ev.State, ev.Message = state, webpubsub.Message{Type: webpubsub.Text, Data: []byte("UserPayload")}
			}),
		},
		{
			"message of a simple client, binary frame",
			`Content-Type: application/octet-stream
ce-type: azure.webpubsub.user.message
ce-eventName: message
`,
			"\x00\xff",
			event(webpubsub.User, "message", func(ev *webpubsub.Event) {
				ev.Message = webpubsub.Message{Type: webpubsub.Binary, Data: []byte("\x00\xff")}
			}),
		},
		{
			"custom event, text",
			`Content-Type: text/plain
ce-type: azure.webpubsub.user.custom.event
ce-eventName: custom.event
ce-subprotocol: json.webpubsub.azure.v1
`,
			"text data",
			event(webpubsub.User, "custom.event", func(ev *webpubsub.Event) {
				ev.Subprotocol, ev.Message = "json.webpubsub.azure.v1", webpubsub.Message{Type: webpubsub.Text, Data: []byte("text data")}
			}),
		},
		{
			"custom event, JSON",
			`Content-Type: application/json
ce-type: azure.webpubsub.user.custom
ce-eventName: custom
ce-subprotocol: json.webpubsub.azure.v1
`,
			"{\n    \"hello\": \"world\"\n}",
			event(webpubsub.User, "custom", func(ev *webpubsub.Event) {
				ev.Subprotocol, ev.Message = "json.webpubsub.azure.v1", webpubsub.Message{Type: webpubsub.JSON, Data: []byte("{\n    \"hello\": \"world\"\n}")}
			}),
		},
		{
			"custom event, binary",
			`Content-Type: application/octet-stream
ce-type: azure.webpubsub.user.custom
ce-eventName: custom
ce-subprotocol: json.webpubsub.azure.v1
`,
			"hello world",
			event(webpubsub.User, "custom", func(ev *webpubsub.Event) {
				ev.Subprotocol, ev.Message = "json.webpubsub.azure.v1", webpubsub.Message{Type: webpubsub.Binary, Data: []byte("hello world")}
			}),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := "POST /upstream HTTP/1.1\n" + common + tc.header + "Content-Length: " + strconv.Itoa(len(tc.body)) + "\n\n"
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + tc.body)))
			if err != nil {
				t.Fatal(err)
			}
			u := newUpstream(nil, nil)
			if got := u.send(t, r); got[0] != '2' {
				t.Fatalf("answered %s", got)
			}
			if diff := cmp.Diff([]*webpubsub.Event{tc.want}, u.events); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

// What Microsoft documents as the answers: the status, the type of the body and
// the state.
func TestDocumentedAnswers(t *testing.T) {
	state := "eyJrZXkiOiJhIn0="
	for _, tc := range []struct {
		name    string
		request *http.Request
		res     *webpubsub.Response
		err     error
		want    string
	}{
		{"connect, nothing to say", connectRequest(), nil, nil, `204 "" [] `},
		{"connect, an empty answer", connectRequest(), &webpubsub.Response{}, nil, `204 "" [] `},
		{
			"connect", connectRequest(), &webpubsub.Response{State: &state, Accept: webpubsub.Accept{UserID: "ann", Groups: []string{"g"}, Roles: []string{"r"}, Subprotocol: "kanava.v1"}}, nil,
			`200 "application/json; charset=utf-8" ["eyJrZXkiOiJhIn0="] {"userId":"ann","groups":["g"],"roles":["r"],"subprotocol":"kanava.v1"}`,
		},
		{
			"connect, roles of the token are taken away", connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{Roles: []string{}}}, nil,
			`200 "application/json; charset=utf-8" [] {"roles":[]}`,
		},
		{
			"connect, only groups", connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{Groups: []string{"g"}}}, nil,
			`200 "application/json; charset=utf-8" [] {"groups":["g"]}`,
		},
		{
			"connect, only a user", connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{UserID: "ann"}}, nil,
			`200 "application/json; charset=utf-8" [] {"userId":"ann"}`,
		},
		{
			"connect, only a subprotocol", connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{Subprotocol: "kanava.plain"}}, nil,
			`200 "application/json; charset=utf-8" [] {"subprotocol":"kanava.plain"}`,
		},
		{"connect, only a state", connectRequest(), &webpubsub.Response{State: &state}, nil, `204 "" ["eyJrZXkiOiJhIn0="] `},
		{
			"connect, refused", connectRequest(), nil, &webpubsub.RefusalError{Status: 401, Text: "who are you?"},
			`401 "text/plain; charset=utf-8" [] who are you?`,
		},
		{"connect, refused without a word", connectRequest(), nil, &webpubsub.RefusalError{Status: 403}, `403 "" [] `},
		{
			"connected", eventRequest("azure.webpubsub.sys.connected", "application/json", "{}"),
			&webpubsub.Response{State: &state, Message: webpubsub.Message{Type: webpubsub.Text, Data: []byte("x")}}, nil, `200 "" [] `,
		},
		{"disconnected", eventRequest("azure.webpubsub.sys.disconnected", "application/json", `{"reason":"r"}`), nil, nil, `200 "" [] `},
		{"message, nothing to say", userRequest(), nil, nil, `204 "" [] `},
		{"message, the state is emptied", userRequest(), &webpubsub.Response{State: new(string)}, nil, `204 "" [""] `},
		{
			"message, text", userRequest(), &webpubsub.Response{State: &state, Message: webpubsub.Message{Type: webpubsub.Text, Data: []byte("hi")}}, nil,
			`200 "text/plain; charset=utf-8" ["eyJrZXkiOiJhIn0="] hi`,
		},
		{
			"message, JSON", userRequest(), &webpubsub.Response{Message: webpubsub.Message{Type: webpubsub.JSON, Data: []byte("{}")}}, nil,
			`200 "application/json; charset=utf-8" [] {}`,
		},
		{
			"message, bytes", userRequest(), &webpubsub.Response{Message: webpubsub.Message{Type: webpubsub.Binary, Data: []byte("b")}}, nil,
			`200 "application/octet-stream" [] b`,
		},
		{
			"message, an empty text", userRequest(), &webpubsub.Response{Message: webpubsub.Message{Type: webpubsub.Text}}, nil,
			`200 "text/plain; charset=utf-8" [] `,
		},
		{"message, refused", userRequest(), nil, &webpubsub.RefusalError{Status: 400, Text: "no"}, `400 "text/plain; charset=utf-8" [] no`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpstream(tc.res, tc.err)
			if got := u.send(t, tc.request); got != tc.want {
				t.Errorf("answer\n%s, want\n%s", got, tc.want)
			}
			if u.log.Len() > 0 {
				t.Errorf("log: %s", &u.log)
			}
		})
	}
}
