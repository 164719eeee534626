package webpubsub_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// What happens in scene, with clients of three kinds: what each client gets and what
// the handler's functions see, in order. The texts are Microsoft's package's, so to
// say: TestMicrosoftsHandler checks that it is this what the stand-in and it make of
// the scene, before TestOurHandler has ours in its place.
var wantScene = []string{
	// A plain client.
	`ann connects`,
	`seen connect {"connectionId":"c1","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"user":["ann"]} subprotocols []`,
	`seen connected {"connectionId":"c1","eventName":"connected","hub":"chat","states":{"from":"ann"},"userId":"ann"}`,
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"from":"ann"},"userId":"ann"} text "hello ä"`,
	`ann gets text hello ä`,
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"from":"ann"},"userId":"ann"} binary "AP8="`,
	"ann gets binary \x00\xff",
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"from":"ann"},"userId":"ann"} text "silent"`,
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"from":"ann"},"userId":"ann"} text "state"`,
	`ann gets text {"from":"ann","asked":true}`,
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"asked":true,"from":"ann"},"userId":"ann"} text "again"`,
	`ann gets text again`,
	// A plain client with a subprotocol of its own: frames pass as they are.
	`bob connects with kanava.v1`,
	`seen connect {"connectionId":"c2","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"user":["bob"]} subprotocols ["other","kanava.v1"]`,
	`seen connected {"connectionId":"c2","eventName":"connected","hub":"chat","states":{"from":"bob"},"userId":"bob"}`,
	`seen user {"connectionId":"c2","eventName":"message","hub":"chat","states":{"from":"bob"},"userId":"bob"} text "{\"hello\":{}}"`,
	`bob gets text {"hello":{}}`,
	// Those that are not let in.
	`refused with 401`,
	`seen connect {"connectionId":"c3","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"refuse":["401"]} subprotocols []`,
	`refused with 403`,
	`seen connect {"connectionId":"c4","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"refuse":["403"]} subprotocols []`,
	// One of which the handler says nothing.
	`bare connects`,
	`seen connect {"connectionId":"c5","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"bare":["1"]} subprotocols []`,
	`seen connected {"connectionId":"c5","eventName":"connected","hub":"chat","states":{},"userId":"token-user"}`,
	// Microsoft's client.
	`seen connect {"connectionId":"c6","eventName":"connect","hub":"chat","states":{},"userId":"token-user"} claims ["aud","exp","iat","sub"] query {"user":["dora"]} subprotocols ["json.webpubsub.azure.v1"]`,
	`seen connected {"connectionId":"c6","eventName":"connected","hub":"chat","states":{"from":"dora"},"userId":"dora"}`,
	`dora: {"connection":"c6","event":"connected","user":"dora"}`,
	`seen user {"connectionId":"c6","eventName":"say.it","hub":"chat","states":{"from":"dora"},"userId":"dora"} text "hi"`,
	`dora: {"as":"text","data":"hi","event":"server"}`,
	`seen user {"connectionId":"c6","eventName":"order","hub":"chat","states":{"from":"dora"},"userId":"dora"} json {"a":[1,null,"ä"]}`,
	`dora: {"as":"json","data":{"a":[1,null,"ä"]},"event":"server"}`,
	`seen user {"connectionId":"c6","eventName":"bytes","hub":"chat","states":{"from":"dora"},"userId":"dora"} binary "AP8="`,
	`dora: {"as":"binary","data":"AP8=","event":"server"}`,
	`seen user {"connectionId":"c6","eventName":"x","hub":"chat","states":{"from":"dora"},"userId":"dora"} text "fail"`,
	`dora's event fails`,
	`dora joins news`,
	`dora: {"as":"json","data":{"n":1},"event":"group","fromUserId":"dora","group":"news"}`,
	`dora may not send to other`,
	// How they end.
	`seen user {"connectionId":"c1","eventName":"message","hub":"chat","states":{"asked":true,"from":"ann"},"userId":"ann"} text "fail"`,
	`ann gets end 1011`,
	`seen disconnected {"connectionId":"c1","eventName":"disconnected","hub":"chat","states":{"asked":true,"from":"ann"},"userId":"ann"} reason`,
	`bob closes`,
	`seen disconnected {"connectionId":"c2","eventName":"disconnected","hub":"chat","states":{"from":"bob"},"userId":"bob"} reason`,
	`bare gets end 1000`,
	`seen disconnected {"connectionId":"c5","eventName":"disconnected","hub":"chat","states":{},"userId":"token-user"} reason`,
	`dora: {"event":"disconnected","message":"enough"}`,
	`dora: {"event":"stopped"}`,
	`seen disconnected {"connectionId":"c6","eventName":"disconnected","hub":"chat","states":{"from":"dora"},"userId":"dora"} reason`,
}

// play has clients do what wantScene says, one thing after the other, and writes
// down what happens.
func play(t *testing.T, a *azure, h handler) (log []string) {
	t.Helper()
	say := func(s string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		log = append(log, a.named(s))
	}
	see := func(events int) {
		t.Helper()
		for range events {
			e := h.next()
			s := "seen " + e["event"].(string) + " " + jsonOf(t, e["context"])
			switch e["event"] {
			case "connect":
				s += " claims " + jsonOf(t, e["claims"]) + " query " + jsonOf(t, e["query"]) + " subprotocols " + jsonOf(t, e["subprotocols"])
			case "user":
				s += " " + e["as"].(string) + " " + jsonOf(t, e["data"])
			case "disconnected":
				if reason, _ := e["reason"].(string); reason != "" {
					s += " reason" // its text is nowhere documented
				}
			}
			say(s)
		}
	}
	access := webpubsub.Access{UserID: "token-user"}

	ann := mustDial(t, a.address(access, "user=ann"))
	say("ann connects" + ann.Subprotocol())
	see(2)
	for _, frame := range []struct {
		kind websocket.MessageType
		text string
	}{{websocket.MessageText, "hello ä"}, {websocket.MessageBinary, "\x00\xff"}, {websocket.MessageText, "silent"}, {websocket.MessageText, "state"}, {websocket.MessageText, "again"}} {
		ann.send(frame.kind, frame.text)
		see(1)
		if frame.text != "silent" {
			say("ann gets " + ordered(ann.next()))
		}
	}

	bob := mustDial(t, a.address(access, "user=bob"), "other", "kanava.v1")
	say("bob connects with " + bob.Subprotocol())
	see(2)
	bob.send(websocket.MessageText, `{"hello":{}}`)
	see(1)
	say("bob gets " + bob.next())

	for _, query := range []string{"refuse=401", "refuse=403"} {
		_, status := dial(t, a.address(access, query))
		say("refused with " + jsonOf(t, status))
		see(1)
	}
	bare := mustDial(t, a.address(access, "bare=1"))
	say("bare connects" + bare.Subprotocol())
	see(2)

	dora := run(t, "client.js")
	tell := func() { say("dora: " + jsonOf(t, dora.next())) }
	dora.must("start", m{"url": a.address(access, "user=dora")})
	see(2)
	tell()
	for _, e := range []m{
		{"name": "say.it", "as": "text", "data": "hi"},
		{"name": "order", "as": "json", "data": m{"a": []any{1, nil, "ä"}}},
		{"name": "bytes", "as": "binary", "data": base64.StdEncoding.EncodeToString([]byte{0, 255})},
	} {
		dora.must("sendEvent", e)
		see(1)
		tell()
	}
	if _, _, err := dora.do("sendEvent", m{"name": "x", "as": "text", "data": "fail"}); err != "" {
		see(1)
		say("dora's event fails")
	}
	dora.must("joinGroup", m{"group": "news"})
	say("dora joins news")
	dora.must("sendToGroup", m{"group": "news", "as": "json", "data": m{"n": 1}})
	tell()
	if _, _, err := dora.do("sendToGroup", m{"group": "other", "as": "text", "data": "x"}); err != "" {
		say("dora may not send to other")
	}

	ann.send(websocket.MessageText, "fail")
	see(1)
	say("ann gets " + ann.next())
	see(1)
	if err := bob.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	say("bob closes")
	see(1)
	if err := a.client().CloseConnection(t.Context(), a.id("c5"), "enough"); err != nil {
		t.Error(err)
	}
	say("bare gets " + bare.next())
	see(1)
	if err := a.client().CloseConnection(t.Context(), a.id("c6"), "enough"); err != nil {
		t.Error(err)
	}
	tell()
	tell()
	see(1)
	return log
}

// id finds a connection by its name.
func (a *azure) id(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range a.names {
		if n == name {
			return id
		}
	}
	a.t.Fatalf("no connection %s", name)
	return ""
}

// ordered brings the members of the one object that handlers write in their own
// order into that of JavaScript.
func ordered(s string) string {
	return strings.ReplaceAll(s, `{"asked":true,"from":"ann"}`, `{"from":"ann","asked":true}`)
}

// Microsoft's packages on all sides say that the stand-in is one for the service.
func TestMicrosoftsHandler(t *testing.T) {
	a, h := withHandler(t, microsoftsHandler)
	if diff := cmp.Diff(wantScene, play(t, a, h)); diff != "" {
		t.Errorf("scene (-want +got):\n%s", diff)
	}
}

// Ours makes the same of it, and its answers are the same, byte for byte.
func TestOurHandler(t *testing.T) {
	theirs, h := withHandler(t, microsoftsHandler)
	play(t, theirs, h)
	ours, h := withHandler(t, goHandler)
	if diff := cmp.Diff(wantScene, play(t, ours, h)); diff != "" {
		t.Errorf("scene (-want +got):\n%s", diff)
	}
	want, got := theirs.played(true), ours.played(true)
	if len(got) < 20 {
		t.Fatalf("only %d exchanges on the tape", len(got))
	}
	for i := range got {
		got[i] = sameState(got[i])
	}
	for i := range want {
		want[i] = sameState(want[i])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events and answers (-Microsoft's +ours):\n%s", diff)
	}
}

// As a function app it is the same.
func TestOurHandlerInFunctions(t *testing.T) {
	a, h := withHandler(t, functionsHandler)
	if diff := cmp.Diff(wantScene, play(t, a, h)); diff != "" {
		t.Errorf("scene (-want +got):\n%s", diff)
	}
}

// sameState makes the two orders of the members of a state one: which is not the
// handler's, but the program's.
func sameState(s string) string {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	s = strings.ReplaceAll(s, encode(`{"asked":true,"from":"ann"}`), encode(`{"from":"ann","asked":true}`))
	return strings.ReplaceAll(s, `{\"asked\":true,\"from\":\"ann\"}`, `{\"from\":\"ann\",\"asked\":true}`)
}
