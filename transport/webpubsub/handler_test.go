package webpubsub_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// enter connects a client of the plain form, and reads the welcome.
func enter(t *testing.T, w *world) *client {
	t.Helper()
	c := knock(t, w, transporttest.Request{Path: "/room?room=a"})
	c.want(`{"text":"welcome"}`)
	return c
}

func knock(t *testing.T, w *world, r transporttest.Request) *client {
	t.Helper()
	c, err := w.dial(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// post is the next event of a client, once, beside its others.
func (c *client) post(ev event) (status int, body string) {
	rec := c.w.post(c.id, c.subprotocol, ev)
	return rec.Code, rec.Body.String()
}

func message(id, text string) event {
	return event{id: id, kind: "user.message", contentType: "text/plain", body: []byte(text)}
}

// What the last message to a client answers is the answer to its event; all else is
// sent, and in order.
func TestAnswersAreResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t, nil)
		w := newWorld(t, srv)
		a, b := enter(t, w), enter(t, w)
		synctest.Wait()
		before := w.called("POST ")
		for _, tt := range []struct{ proves, send, answer string }{
			{"a reply", `{"action":"whoami"}`, `{"text":"","action":"whoami"}`},
			{"an error", `{"action":"fail"}`, `{"action":"fail","error":{"code":"internal","message":"internal error"}}`},
		} {
			if status, body := a.post(message(tt.proves, tt.send)); status != 200 || body != tt.answer {
				t.Errorf("%s: %d %s", tt.proves, status, body)
			}
		}
		if n := w.called("POST ") - before; n != 0 {
			t.Errorf("%d calls were made for answers", n)
		}
		if status, body := a.post(message("x", `{"action":"shout","text":"hi"}`)); status != 204 || body != "" {
			t.Errorf("behind an event: %d %s", status, body)
		}
		a.want(`{"topic":"room:a","data":{"text":"hi"}}`)
		a.want(`{"action":"shout"}`)
		b.want(`{"topic":"room:a","data":{"text":"hi"}}`)
	})
}

// An event that comes again runs nothing again: the service is refused.
func TestRepeatedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, app := newServer(t, nil)
		w := newWorld(t, srv)
		a, b := enter(t, w), enter(t, w)
		hi := message("m1", `{"action":"say","text":"hi"}`)
		if status, body := a.post(hi); status != 200 || body != `{"action":"say"}` {
			t.Fatalf("the first: %d %s", status, body)
		}
		for range 3 {
			if status, _ := a.post(hi); status != http.StatusConflict {
				t.Errorf("again: %d", status)
			}
		}
		b.want(`{"topic":"room:a","data":{"text":"hi"}}`)
		// An opening that comes again does not open anew, which would lose what is kept.
		opening := event{
			id: "1", kind: "sys.connect", contentType: "application/json",
			body: []byte(`{"claims":{},"query":{"channel":["/room"],"room":["other"]},"headers":{},"subprotocols":[]}`),
		}
		if status, _ := a.post(opening); status != http.StatusConflict {
			t.Errorf("the opening again: %d", status)
		}
		hi.at, opening.at = time.Now(), time.Now()
		time.Sleep(16 * time.Minute) // they are not known any more, but too old
		for _, ev := range []event{hi, opening} {
			if status, _ := a.post(ev); status != http.StatusConflict {
				t.Errorf("%s much later: %d", ev.kind, status)
			}
		}
		if status, _ := a.post(message("m2", `{"action":"say","text":"more"}`)); status != 200 {
			t.Errorf("the next: %d", status)
		}
		b.want(`{"topic":"room:a","data":{"text":"more"}}`)
		if len(app.ran) != 2 {
			t.Errorf("%d functions ran, not 2", len(app.ran))
		}
		a.say(`{"action":"opening"}`)
		a.want(`{"room":"a","agent":"","action":"opening"}`)
		for range 2 {
			a.end("it is over")
			synctest.Wait()
			a.post(event{id: "again", kind: "sys.disconnected", contentType: "application/json", body: []byte(`{"reason":""}`)})
		}
		if len(app.left) != 1 || <-app.left != kanava.CloseAbnormal {
			t.Errorf("OnDisconnect ran %d times more, or saw another code", len(app.left))
		}
	})
}

// Events may come in another order than they happened.
func TestReorderedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, app := newServer(t, nil)
		w := newWorld(t, srv)
		connected := event{id: "late", kind: "sys.connected", contentType: "application/json", body: []byte("{}")}
		// A message before the connection is told to be open: OnConnect runs first.
		a := knock(t, w, transporttest.Request{Path: "/room?room=a"})
		if status, _ := a.post(message("m1", `{"action":"whoami"}`)); status >= 300 {
			t.Errorf("the message: %d", status)
		}
		a.post(connected)
		a.want(`{"text":"welcome"}`)
		synctest.Wait()
		// What comes after the end of a connection is of none.
		a.end("over")
		synctest.Wait()
		if status, _ := a.post(connected); status != 200 {
			t.Errorf("connected after disconnected: %d", status)
		}
		if status, _ := a.post(message("m2", `{"action":"say","text":"hi"}`)); status != http.StatusGone {
			t.Errorf("a message after disconnected: %d", status)
		}
		if len(app.ran) != 0 || len(app.left) != 1 {
			t.Errorf("%d functions ran, OnDisconnect %d times", len(app.ran), len(app.left))
		}
	})
}

// unsteady is a Store that fails at will.
type unsteady struct {
	engine.Store
	fails func(op, id string) error
}

func (s *unsteady) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if err := s.fails("save", id); err != nil {
		return 0, err
	}
	return s.Store.Save(ctx, id, data, version, ttl)
}

func (s *unsteady) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	if err := s.fails("load", ids[0]); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, ids)
}

// Where the Store fails before anything was done the service is to try again; where it
// fails later, not, and the connection ends. Neither says why.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := map[string]int{} // how often, by what
		store := &unsteady{memory.NewStore(), func(op, id string) error {
			if strings.HasPrefix(id, "\x01") {
				op = "note"
			}
			if fail[op] == 0 {
				return nil
			}
			fail[op]--
			return errors.New(hidden)
		}}
		srv, app := newServer(t, nil)
		w := newWorld(t, srv, func(o *webpubsub.Options) { o.Store = store })
		for _, op := range []string{"note", "save"} {
			fail[op] = 2
			enter(t, w) // with the third try
			synctest.Wait()
		}
		a := enter(t, w)
		synctest.Wait()
		fail["note"] = 1
		hi := message("m1", `{"action":"say","text":"hi"}`)
		if status, body := a.post(hi); status != 500 || body != "" {
			t.Errorf("not noted: %d %s", status, body)
		}
		if status, body := a.post(hi); status != 200 || body != `{"action":"say"}` {
			t.Errorf("again: %d %s", status, body)
		}
		fail["load"] = 1
		status, body := a.post(message("m2", `{"action":"say","text":"hi"}`))
		if status != http.StatusUnprocessableEntity || strings.Contains(body, hidden) {
			t.Errorf("not read: %d %s", status, body)
		}
		if len(app.ran) != 1 {
			t.Errorf("%d functions ran", len(app.ran))
		}
	})
}

// A connection whose end nobody has told is found when it is sent to.
func TestEndThatIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, app := newServer(t, nil)
		w := newWorld(t, srv)
		a, b := enter(t, w), enter(t, w)
		time.Sleep(time.Minute)
		b.vanish()
		for n := 0; len(app.left) == 0; n++ {
			if n == 1000 { // one in 16 looks: that all of these do not has a chance of 1e-28
				t.Fatal("OnDisconnect does not run")
			}
			a.say(`{"action":"say","text":"anybody?"}`)
			a.want(`{"action":"say"}`)
			<-app.ran
		}
		n := w.called("POST " + b.id)
		a.say(`{"action":"say","text":"anybody?"}`)
		a.want(`{"action":"say"}`)
		if more := w.called("POST "+b.id) - n; more != 0 {
			t.Error("it is still sent to")
		}
	})
}

// The most that goes to a client, by either way, and one byte more.
func TestLargestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t, nil)
		w := newWorld(t, srv)
		a := enter(t, w)
		room := webpubsub.MaxMessage - len(`{"text":"","action":"large"}`)
		ask := func(id string, n int) (int, string) {
			return a.post(message(id, `{"action":"large","bytes":`+strings.TrimSpace(string(mustJSON(t, n)))+`}`))
		}
		if status, body := ask("m1", room); status != 200 || len(body) != webpubsub.MaxMessage {
			t.Errorf("the largest: %d, %d bytes", status, len(body))
		}
		if status, body := ask("m2", room+1); status != 200 || !strings.Contains(body, `"code":"too_large"`) {
			t.Errorf("a larger one: %d, %.200s", status, body)
		}
	})
}
