package sse_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

// rows adds a channel to the world, "/rows", whose OnConnect subscribes to the
// recoverable topic "row:a".
func (w *world) rows(size int) *kanava.Topic[text] {
	rows := kanava.NewTopic[text](w.srv.EventHub(), "row", kanava.Recoverable(size, time.Hour))
	w.srv.Wire(kanava.Wiring[none, none]{
		Name: "rows", Route: "/rows", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (string, error) {
			return "welcome", rows.Subscribe(ctx, ch, "a")
		}),
		OnDisconnect: kanava.DisconnectFunc(func(context.Context, *line) error {
			w.left <- ending{}
			return nil
		}),
		Declares: []kanava.Declared{rows},
	})
	return rows
}

// come connects as a browser does that has seen this id.
func (w *world) come(lastID string) *conn {
	w.t.Helper()
	fields := []string{"Accept", "text/event-stream"}
	if lastID != "" {
		fields = append(fields, "Last-Event-ID", lastID)
	}
	res := w.wantStatus(w.do("GET", "/rows", nil, fields...), 200)
	c := &conn{w: w, res: res, r: newReader(res.Body)}
	c.next() // up
	c.want(event{data: `"welcome"`})
	return c
}

// gone ends a connection, and waits until the server knows.
func (c *conn) gone() {
	c.leave()
	<-c.w.left
}

func TestP19_LastEventID(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	rows := w.rows(3)
	publish := func(texts ...string) {
		t.Helper()
		for _, s := range texts {
			if err := rows.Publish(t.Context(), "a", text{s}); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(c *conn, s string) (id string) {
		t.Helper()
		e := c.next()
		if e.data != fmt.Sprintf(`{"topic":"row:a","data":{"text":%q}}`, s) || e.name != "" || !e.hasID {
			t.Fatalf("got %+v, want %s", e, s)
		}
		return e.id
	}
	c := w.come("")
	publish("one")
	id := expect(c, "one")
	if !strings.Contains(id, "row%3Aa=") {
		t.Errorf("the id is %q", id)
	}
	c.gone()

	// What was published meanwhile comes first, then what is published now.
	publish("two", "three")
	c = w.come(id)
	expect(c, "two")
	expect(c, "three")
	publish("four")
	id = expect(c, "four")
	c.gone()

	// A connection that ends before anything new came loses nothing.
	for range 3 {
		w.come(id).gone()
	}
	publish("five")
	c = w.come(id)
	id = expect(c, "five")
	c.gone()

	// What is not kept any more is lost, and the client goes on from now.
	publish("6", "7", "8", "9")
	c = w.come(id)
	e := c.next()
	if e.name != "lost" || !strings.HasPrefix(e.data, `{"topic":"row:a","from":{"e":"`) || !strings.Contains(e.data, `"o":5},"to":{"e":"`) || !strings.HasSuffix(e.data, `"o":9}}`) {
		t.Fatalf("got %+v", e)
	}
	publish("ten")
	expect(c, "ten")
	c.gone()

	// Nonsense says nothing, and an id of another server that all is lost.
	for _, s := range []string{"x", "&", strings.Repeat("x", 5000), "C&row%3Aa=1", "\xff"} {
		c = w.come(s)
		publish("eleven")
		expect(c, "eleven")
		c.gone()
	}
	c = w.come("C&row%3Aa=another.3")
	if e := c.next(); e.name != "lost" || !strings.Contains(e.data, `"from":{"e":"another","o":3}`) {
		t.Fatalf("got %+v", e)
	}
	c.gone()
}

// Where the client stands is told as soon as it is subscribed, without an event
// that a page would see.
func TestP19_FirstID(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	w.rows(3)
	c := w.come("")
	line, err := c.r.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "id: ") || !strings.HasSuffix(line, ".0\n") {
		t.Fatalf("got %q, %v", line, err)
	}
	if line, err = c.r.r.ReadString('\n'); err != nil || line != "\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	c.gone()
}
