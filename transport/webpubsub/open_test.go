package webpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What the service says of a client reaches Authenticate, in both forms, and nothing
// that the client says of itself is taken for it.
func TestTokenOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t, func(_ context.Context, r *kanava.OpenRequest) (*user, error) {
			return &user{fmt.Sprint(webpubsub.TokenOf(r).Claims["sub"])}, nil
		})
		w := newWorld(t, srv)
		forged := map[string]string{"Kanava Web Pubsub Token": `{"userId":"root","claims":{"sub":["root"]}}`, "X-Agent": "me"}
		a := knock(t, w, transporttest.Request{Path: "/room?room=a", Headers: forged})
		a.want(`{"text":"welcome"}`)
		a.say(`{"action":"whoami"}`)
		a.want(`{"text":"[ann]","action":"whoami"}`)
		a.say(`{"action":"opening"}`)
		a.want(`{"room":"a","agent":"me","action":"opening"}`)

		b := knock(t, w, transporttest.Request{Path: "/room?room=a", Headers: forged, Subprotocols: []string{"kanava.v1"}})
		if b.subprotocol != "kanava.v1" {
			t.Errorf("the subprotocol is %q", b.subprotocol)
		}
		b.say(`{"hello":{}}`)
		if open := b.next(); !strings.Contains(open, `"max":65536`) || !strings.Contains(open, `"keep":300000`) {
			t.Errorf("got %s", open)
		}
		b.want(`{"push":"","v":{"text":"welcome"}}`)
		if sub := b.next(); !strings.HasPrefix(sub, `{"sub":"room:a"`) {
			t.Errorf("got %s", sub)
		}
		b.say(`{"do":"whoami","id":1}`)
		b.want(`{"re":1,"out":{"text":"[ann]"}}`)
	})
	if got := webpubsub.TokenOf(&kanava.OpenRequest{}); got.UserID != "" || got.Claims != nil {
		t.Errorf("of no client: %+v", got)
	}
}

// Clients that are not let in, and what they are told.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		srv, _ := newServer(t, func(_ context.Context, r *kanava.OpenRequest) (*user, error) {
			switch tries++; r.Header.Get("X-Agent") {
			case "nobody":
				return nil, kanava.Errorf(kanava.CodeUnauthenticated, "who are you")
			case "banned":
				return nil, kanava.Errorf(kanava.CodePermissionDenied, "not you")
			case "broken":
				return nil, kanava.Errorf(kanava.CodeUnavailable, "come back").Because(errors.New(hidden))
			}
			return nil, nil
		})
		w := newWorld(t, srv)
		for _, tt := range []struct {
			path, agent string
			status      int
			says        string
			tries       int
		}{
			{"/room?room=a", "nobody", 401, "unauthenticated", 1},
			{"/room?room=a", "banned", 403, "permission_denied", 1},
			{"/room?room=a", "broken", 500, "", 4}, // the service tries again
			{"/room", "", 400, "invalid_argument", 0},
			{"/nowhere?room=a", "", 404, "not_found", 0},
			{"?channel=http://example.com/room&room=a", "", 404, "not_found", 0},
			{"?channel=room&room=a", "", 404, "not_found", 0},
			{"?channel=%25zz&room=a", "", 404, "not_found", 0},
		} {
			tries = 0
			_, err := w.dial(transporttest.Request{Path: tt.path, Headers: map[string]string{"X-Agent": tt.agent}})
			refused, ok := errors.AsType[*transporttest.RefusedError](err)
			if !ok {
				t.Errorf("%s %s: %v", tt.path, tt.agent, err)
				continue
			}
			if body := string(refused.Body); refused.Status != tt.status || !strings.Contains(body, tt.says) || tt.says == "" && body != "" || tries != tt.tries {
				t.Errorf("%s %s: %d %s after %d tries", tt.path, tt.agent, refused.Status, body, tries)
			}
		}
	})
}

// Which channel a client comes to that does not say.
func TestDefaultChannel(t *testing.T) {
	open := func(t *testing.T, wired []string, change ...func(*webpubsub.Options)) string {
		t.Helper()
		srv := kanava.NewServer(kanava.Options[kanava.None]{})
		for _, name := range wired {
			srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
				Name: name, Route: "/" + name, Public: true,
				OnConnect: kanava.ConnectFunc(func(context.Context, *kanava.Channel[kanava.None, kanava.None]) (string, error) { return name, nil }),
			})
		}
		w := newWorld(t, srv, change...)
		c, err := w.dial(transporttest.Request{})
		if err != nil {
			return fmt.Sprint(err.(*transporttest.RefusedError).Status) //nolint:forcetypeassert // it is nothing else
		}
		return c.next()
	}
	fixed := func(o *webpubsub.Options) { o.Path = func(*webpubsub.Event) string { return "/b" } }
	for _, tt := range []struct {
		proves, got, want string
	}{
		{"the only channel", open(t, []string{"a"}), `"a"`},
		{"the one called like the hub", open(t, []string{"a", "chat"}), `"chat"`},
		{"none of several", open(t, []string{"a", "b"}), "404"},
		{"the one that the program says", open(t, []string{"a", "b"}, fixed), `"b"`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s", tt.proves, tt.got)
		}
	}
}

// What is missing is found when the handler is made.
func TestHandlerPanics(t *testing.T) {
	srv, _ := newServer(t, nil)
	c := clientOf(t, always(http.StatusAccepted, ""))
	keyless, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: endpoint, Hub: "chat", Tokens: entra("t")})
	if err != nil {
		t.Fatal(err)
	}
	store := newWorld(t, srv).store
	for want, f := range map[string]func(){
		"Server":     func() { webpubsub.Handler(nil, webpubsub.Options{Store: store, Client: c}) },
		"Store":      func() { webpubsub.Handler(srv, webpubsub.Options{Client: c}) },
		"Client":     func() { webpubsub.Handler(srv, webpubsub.Options{Store: store}) },
		"AccessKeys": func() { webpubsub.Handler(srv, webpubsub.Options{Store: store, Client: keyless}) },
		"Reach":      func() { webpubsub.Reach(srv, webpubsub.Options{Store: store}) },
		"Negotiate":  func() { webpubsub.Negotiate(c, nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("without %s: %s", want, got)
				}
			}()
			f()
		}()
	}
}
