package webpubsub_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// call is one command for a client of the REST API, in the words of js/service.js.
type call struct {
	do   string
	args m
	want any // the result, or the status of the error
}

// calls is what both clients do. Names of connections stand for their ids.
var calls = []call{
	{"sendToAll", m{"as": "text", "data": "hello ä"}, nil},
	{"sendToAll", m{"as": "json", "data": m{"a": []any{1.5, nil, "ä"}}, "except": []string{"ann"}}, nil},
	{"sendToAll", m{"as": "binary", "data": "AP8=", "except": []string{"ann", "bob"}}, nil},
	{"sendToConnection", m{"connection": "bob", "as": "json", "data": "a string"}, nil},
	{"sendToConnection", m{"connection": "nobody", "as": "text", "data": "lost"}, nil},
	{"sendToUser", m{"user": "ann", "as": "text", "data": "for ann"}, nil},
	{"sendToUser", m{"user": "cy/ä b?#%40", "as": "text", "data": "for cy"}, nil},
	{"sendToGroup", m{"group": "room:general", "as": "text", "data": "for the room"}, nil},
	{"sendToGroup", m{"group": "room:general", "as": "text", "data": "but not for bob", "except": []string{"bob"}}, nil},
	{"sendToGroup", m{"group": "empty", "as": "text", "data": "lost"}, nil},
	{"connectionExists", m{"connection": "ann"}, true},
	{"connectionExists", m{"connection": "nobody"}, false},
	{"addToGroup", m{"group": "a/b c+d", "connection": "cy"}, nil},
	{"addToGroup", m{"group": "a/b c+d", "connection": "nobody"}, 404},
	{"sendToGroup", m{"group": "a/b c+d", "as": "text", "data": "for cy again"}, nil},
	{"removeFromGroup", m{"group": "room:general", "connection": "ann"}, nil},
	{"removeFromGroup", m{"group": "room:general", "connection": "nobody"}, nil},
	{"sendToGroup", m{"group": "room:general", "as": "text", "data": "without ann"}, nil},
	{"removeFromAllGroups", m{"connection": "bob"}, nil},
	{"sendToGroup", m{"group": "room:general", "as": "text", "data": "for no one"}, nil},
	{"addToGroup", m{"group": "leaving", "connection": "bob"}, nil},
	{"closeGroup", m{"group": "leaving", "reason": "the group closes"}, nil},
	{"closeUser", m{"user": "cy/ä b?#%40"}, nil},
	{"closeConnection", m{"connection": "ann", "reason": "enough & more"}, nil},
	{"closeConnection", m{"connection": "nobody"}, nil},
	{"closeUser", m{"user": "dora", "reason": "that was all"}, nil},
}

// want is what clients get of calls.
var want = map[string][]string{
	"ann": {"text hello ä", "text for ann", "text for the room", "text but not for bob", "end 1000"},
	"bob": {"text hello ä", `text {"a":[1.5,null,"ä"]}`, `text "a string"`, "text for the room", "text without ann", "end 1000"},
	"cy":  {"text hello ä", `text {"a":[1.5,null,"ä"]}`, "binary \x00\xff", "text for cy", "text for cy again", "end 1000"},
	// Microsoft's client, to which the service says whence a message comes.
	"dora": {
		`{"as":"text","data":"hello ä","event":"server"}`, `{"as":"json","data":{"a":[1.5,null,"ä"]},"event":"server"}`, `{"as":"binary","data":"AP8=","event":"server"}`,
		`{"event":"disconnected","message":"that was all"}`,
	},
}

// rest is a client of the REST API.
type rest func(do string, args m) (out any, status int)

func microsoftsClient(t *testing.T, a *azure) rest {
	t.Helper()
	p := run(t, "service.js", a.connectionString())
	return func(do string, args m) (any, int) {
		t.Helper()
		out, status, err := p.do(do, args)
		if err != "" && status == 0 {
			t.Errorf("%s: %s", do, err)
		}
		return out, status
	}
}

func goClient(t *testing.T, a *azure) rest {
	t.Helper()
	c := a.client()
	return func(do string, args m) (any, int) {
		t.Helper()
		out, err := goCall(t, c, do, args)
		var refused *webpubsub.ResponseError
		switch {
		case errors.As(err, &refused):
			return nil, refused.Status
		case err != nil:
			t.Errorf("%s: %v", do, err)
		}
		return out, 0
	}
}

func goCall(t *testing.T, c *webpubsub.Client, do string, args m) (any, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text := func(name string) string {
		s, _ := args[name].(string)
		return s
	}
	list := func(name string) []string {
		l, _ := args[name].([]string)
		return l
	}
	var msg webpubsub.Message
	if as := text("as"); as != "" {
		msg = message(t, as, args["data"])
	}
	switch do {
	case "sendToAll":
		return nil, c.SendToAll(ctx, msg, list("except")...)
	case "sendToUser":
		return nil, c.SendToUser(ctx, text("user"), msg)
	case "sendToGroup":
		return nil, c.SendToGroup(ctx, text("group"), msg, list("except")...)
	case "sendToConnection":
		return nil, c.SendToConnection(ctx, text("connection"), msg)
	case "closeConnection":
		return nil, c.CloseConnection(ctx, text("connection"), text("reason"))
	case "closeUser":
		return nil, c.CloseUser(ctx, text("user"), text("reason"))
	case "closeGroup":
		return nil, c.CloseGroup(ctx, text("group"), text("reason"))
	case "connectionExists":
		return c.ConnectionExists(ctx, text("connection"))
	case "addToGroup":
		return nil, c.AddToGroup(ctx, text("group"), text("connection"))
	case "removeFromGroup":
		return nil, c.RemoveFromGroup(ctx, text("group"), text("connection"))
	case "removeFromAllGroups":
		return nil, c.RemoveFromAllGroups(ctx, text("connection"))
	case "clientURL":
		minutes, _ := args["minutes"].(int)
		return c.ClientURL(ctx, webpubsub.Access{UserID: text("user"), Roles: list("roles"), Groups: list("groups"), Valid: time.Duration(minutes) * time.Minute})
	}
	return nil, errors.New("no such call")
}

// direct has a client do all calls, and returns what the others got.
func direct(t *testing.T, start func(*testing.T, *azure) rest) (*azure, map[string][]string) {
	t.Helper()
	a := newAzure(t)
	a.SetUpstream(goHandlerThatLetsIn(t, a))
	do := start(t, a)
	got, sockets := map[string][]string{}, map[string]*socket{}
	ids := map[string]string{"nobody": "no-such-connection"}
	for _, client := range []struct {
		name, user string
		groups     []string
	}{{"ann", "ann", []string{"room:general"}}, {"bob", "bob", []string{"room:general", "more"}}, {"cy", "cy/ä b?#%40", nil}} {
		out, _ := do("clientURL", m{"user": client.user, "groups": client.groups})
		sockets[client.name] = mustDial(t, out.(string))
		ids[client.name] = a.id("c" + jsonOf(t, len(sockets)))
	}
	dora := run(t, "client.js")
	out, _ := do("clientURL", m{"user": "dora"})
	dora.must("start", m{"url": out})
	if e := dora.next(); e["event"] != "connected" || e["user"] != "dora" {
		t.Errorf("Microsoft's client: %v", e)
	}
	for _, c := range calls {
		args := maps.Clone(c.args)
		if name, ok := args["connection"].(string); ok {
			args["connection"] = ids[name]
		}
		if names, ok := args["except"].([]string); ok {
			except := make([]string, len(names))
			for i, name := range names {
				except[i] = ids[name]
			}
			args["except"] = except
		}
		out, status := do(c.do, args)
		if status != 0 {
			out = status
		}
		if c.want != out {
			t.Errorf("%s %v: %v, want %v", c.do, c.args, out, c.want)
		}
	}
	for end := false; !end; {
		e := dora.next()
		end = e["event"] == "disconnected"
		got["dora"] = append(got["dora"], jsonOf(t, e))
	}
	for name, s := range sockets {
		for len(got[name]) == 0 || got[name][len(got[name])-1] != "end 1000" {
			got[name] = append(got[name], s.next())
		}
	}
	return a, got
}

// goHandlerThatLetsIn gives connections their names on the tape.
func goHandlerThatLetsIn(t *testing.T, a *azure) string {
	t.Helper()
	return serve(t, webpubsub.EventHandler(func(context.Context, *webpubsub.Event) (*webpubsub.Response, error) { return nil, nil },
		webpubsub.EventOptions{Hub: "chat", Hosts: []string{a.host}, AccessKeys: keys[:1]}))
}

func TestMicrosoftsClient(t *testing.T) {
	_, got := direct(t, microsoftsClient)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clients got (-want +got):\n%s", diff)
	}
}

// Ours does the same by the same requests.
func TestOurClient(t *testing.T) {
	theirs, _ := direct(t, microsoftsClient)
	ours, got := direct(t, goClient)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clients got (-want +got):\n%s", diff)
	}
	if n := len(ours.played(false)); n != len(calls) {
		t.Errorf("%d requests on the tape for %d calls", n, len(calls))
	}
	if diff := cmp.Diff(theirs.played(false), ours.played(false)); diff != "" {
		t.Errorf("requests (-Microsoft's +ours):\n%s", diff)
	}
}

// Both make the same addresses for clients.
func TestClientAddresses(t *testing.T) {
	for name, args := range map[string]m{
		"of nobody":   {},
		"of somebody": {"user": "ann ä", "roles": []string{"webpubsub.sendToGroup"}, "groups": []string{"a", "b"}, "minutes": 5},
	} {
		a := newAzure(t)
		shape := func(do rest) (string, string) {
			out, _ := do("clientURL", args)
			u, err := url.Parse(out.(string))
			if err != nil {
				t.Fatal(err)
			}
			token := u.Query().Get("access_token")
			u.RawQuery = ""
			return u.String(), tokenShape(token, a.url+"/client/hubs/chat")
		}
		theirAddress, theirToken := shape(microsoftsClient(t, a))
		address, token := shape(goClient(t, a))
		if address != theirAddress || token != theirToken {
			t.Errorf("%s: %s with %s, Microsoft's %s with %s", name, address, token, theirAddress, theirToken)
		}
	}
}

// Both try again what the service was too busy for, and nothing else.
func TestBusy(t *testing.T) {
	for name, tt := range map[string]struct {
		statuses []int
		after    string
		tries    int
		status   int
	}{
		"throttled":     {[]int{429}, "1", 2, 0},
		"not available": {[]int{503, 503}, "", 3, 0},
		"to the end":    {[]int{503, 503, 503, 503, 503}, "", 4, 503},
		"refused":       {[]int{400}, "", 1, 400},
	} {
		for who, start := range map[string]func(*testing.T, *azure) rest{"Microsoft's": microsoftsClient, "ours": goClient} {
			t.Run(name+", "+who, func(t *testing.T) {
				var tries atomic.Int32
				a := newAzure(t, func(o *standin.Options) {
					o.Fault = func(*http.Request) (int, string) {
						if n := int(tries.Add(1)); n <= len(tt.statuses) {
							return tt.statuses[n-1], tt.after
						}
						return 0, ""
					}
				})
				began := time.Now()
				_, status := start(t, a)("sendToAll", m{"as": "text", "data": "hello"})
				if status != tt.status || int(tries.Load()) != tt.tries {
					t.Errorf("status %d after %d tries; want %d after %d", status, tries.Load(), tt.status, tt.tries)
				}
				if tt.after != "" && time.Since(began) < time.Second {
					t.Errorf("did not wait for Retry-After: %s", time.Since(began))
				}
				bodies := map[string]int{}
				for _, x := range a.played(false) {
					bodies[x]++
				}
				if len(bodies) > 2 { // one for each answer
					t.Errorf("tries differ: %v", slices.Collect(maps.Keys(bodies)))
				}
			})
		}
	}
}

// Tokens of Microsoft Entra: Microsoft's client wants TLS for them, so this is ours
// alone, with a token that stands for a real one.
func TestEntra(t *testing.T) {
	a := newAzure(t, func(o *standin.Options) { o.Entra = "entra-token" })
	a.SetUpstream(goHandlerThatLetsIn(t, a))
	c := a.client(func(o *webpubsub.ClientOptions) { o.AccessKey, o.Tokens = "", entra("entra-token") })
	address, err := c.ClientURL(t.Context(), webpubsub.Access{UserID: "ann", Groups: []string{"g"}})
	if err != nil {
		t.Fatal(err)
	}
	ann := mustDial(t, address)
	if err := c.SendToGroup(t.Context(), "g", webpubsub.Message{Type: webpubsub.Text, Data: []byte("hello")}); err != nil {
		t.Error(err)
	}
	if got := ann.next(); got != "text hello" {
		t.Errorf("got %q", got)
	}
	wrong := a.client(func(o *webpubsub.ClientOptions) { o.AccessKey, o.Tokens = "", entra("another") })
	var refused *webpubsub.ResponseError
	if err := wrong.SendToAll(t.Context(), webpubsub.Message{Type: webpubsub.Text}); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %v", err)
	}
}

type entra string

func (e entra) Token(context.Context) (string, error) { return string(e), nil }
