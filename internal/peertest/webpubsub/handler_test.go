package webpubsub_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
	"github.com/kanava-go/kanava/internal/testport"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// handler is a handler of events that runs and does what js/handler.js does.
type handler struct {
	url  string
	next func() m // the next event that its functions have seen
}

// microsoftsHandler starts the one with @azure/web-pubsub-express.
func microsoftsHandler(t *testing.T, a *azure) handler {
	t.Helper()
	p := run(t, "handler.js", a.url)
	port := p.next()["port"].(float64)
	return handler{"http://127.0.0.1:" + jsonOf(t, port) + "/upstream", p.next}
}

// goHandler starts ours.
func goHandler(t *testing.T, a *azure) handler {
	t.Helper()
	seen := make(chan m, 1000)
	address := serve(t, webpubsub.EventHandler(app(t, seen), webpubsub.EventOptions{
		Hub: "chat", Hosts: []string{a.host}, AccessKeys: keys[:], Logger: slog.New(slog.DiscardHandler),
	}))
	return handler{address, func() m {
		t.Helper()
		return within(t, "an event", seen)
	}}
}

// functionsHandler starts ours as a function app: behind a host that forwards
// requests as they are, to the port that it has told. The host of Azure Functions
// itself is not to be had.
func functionsHandler(t *testing.T, a *azure) handler {
	t.Helper()
	seen := make(chan m, 1000)
	port := strconv.Itoa(testport.Port(t))
	t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", port)
	mux := http.NewServeMux()
	mux.Handle("/upstream", webpubsub.EventHandler(app(t, seen), webpubsub.EventOptions{
		Hub: "chat", Hosts: []string{a.host}, AccessKeys: keys[:], Logger: slog.New(slog.DiscardHandler),
	}))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- webpubsub.ServeFunctions(ctx, mux) }()
	t.Cleanup(func() {
		stop()
		if err := within(t, "the end of the function app", ended); err != nil {
			t.Error(err)
		}
	})
	for { // until it listens
		if res, err := http.Get("http://127.0.0.1:" + port); err == nil {
			res.Body.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	host := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + port})
	return handler{serve(t, host), func() m {
		t.Helper()
		return within(t, "an event", seen)
	}}
}

// serve has a handler of events stand at the address that it returns.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/upstream", h)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/upstream"
}

// app does what js/handler.js does. Microsoft's package keeps a state as base64 of
// a JSON object; that is the program's own choice.
func app(t *testing.T, seen chan<- m) webpubsub.HandleFunc {
	return func(_ context.Context, ev *webpubsub.Event) (*webpubsub.Response, error) {
		states := m{}
		if ev.State != "" {
			b, err := base64.StdEncoding.DecodeString(ev.State)
			if err != nil || json.Unmarshal(b, &states) != nil {
				t.Errorf("state %q", ev.State)
			}
		}
		context := m{"hub": ev.Hub, "connectionId": ev.ConnectionID, "eventName": ev.Name, "states": maps.Clone(states)}
		if ev.UserID != "" {
			context["userId"] = ev.UserID
		}
		saw := m{"event": string(ev.Type), "context": context}
		keep := func(name string, value any) *string {
			states[name] = value
			s := base64.StdEncoding.EncodeToString([]byte(jsonOf(t, states)))
			return &s
		}
		defer func() { seen <- again(t, saw) }()
		switch ev.Type {
		case webpubsub.Connect:
			c := ev.Connecting
			saw["claims"], saw["query"], saw["subprotocols"] = slices.Sorted(maps.Keys(c.Claims)), c.Query, c.Subprotocols
			if refuse := c.Query["refuse"]; refuse != nil {
				status := map[string]int{"400": 400, "401": 401, "403": 403}[refuse[0]]
				return nil, &webpubsub.RefusalError{Status: status, Text: "no entry"}
			}
			if c.Query["bare"] != nil {
				return nil, nil
			}
			res := &webpubsub.Response{State: keep("from", c.Query["user"][0]), Accept: webpubsub.Accept{
				UserID: c.Query["user"][0],
				Groups: []string{"everybody"},
				Roles:  []string{"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.news"},
			}}
			if slices.Contains(c.Subprotocols, "kanava.v1") {
				res.Accept.Subprotocol = "kanava.v1"
			}
			return res, nil
		case webpubsub.Disconnected:
			saw["reason"] = ev.Reason
		case webpubsub.User:
			saw["as"], saw["data"] = string(ev.Message.Type), carried(t, ev.Message)
			switch string(ev.Message.Data) {
			case "silent":
				return nil, nil
			case "fail":
				return nil, &webpubsub.RefusalError{Status: 400, Text: "no"}
			case "state":
				state := keep("asked", true)
				return &webpubsub.Response{State: state, Message: webpubsub.Message{Type: webpubsub.JSON, Data: []byte(jsonOf(t, states))}}, nil
			}
			return &webpubsub.Response{Message: ev.Message}, nil
		}
		return nil, nil
	}
}

// carried is a message as the programs in js carry it.
func carried(t *testing.T, msg webpubsub.Message) (v any) {
	switch msg.Type {
	case webpubsub.JSON:
		if err := json.Unmarshal(msg.Data, &v); err != nil {
			t.Error(err)
		}
		return v
	case webpubsub.Binary:
		return base64.StdEncoding.EncodeToString(msg.Data)
	}
	return string(msg.Data)
}

// message is the opposite of carried.
func message(t *testing.T, as string, v any) webpubsub.Message {
	t.Helper()
	msg := webpubsub.Message{Type: webpubsub.DataType(as)}
	switch as {
	case "json":
		msg.Data = []byte(jsonOf(t, v))
	case "binary":
		b, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			t.Fatal(err)
		}
		msg.Data = b
	default:
		msg.Data = []byte(v.(string))
	}
	return msg
}

func jsonOf(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// again is a value as it is after a way through JSON, as programs send it.
func again(t *testing.T, v m) (out m) {
	if err := json.Unmarshal([]byte(jsonOf(t, v)), &out); err != nil {
		t.Error(err)
	}
	return out
}

// withHandler is a service whose events h takes.
func withHandler(t *testing.T, start func(*testing.T, *azure) handler, change ...func(*standin.Options)) (*azure, handler) {
	t.Helper()
	a := newAzure(t, change...)
	h := start(t, a)
	a.SetUpstream(h.url)
	return a, h
}
