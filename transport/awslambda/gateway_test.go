package awslambda_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/awslambda"
)

// Calls that the gateway refuses for now are made again.
func TestRetries(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	c := w.dialIn("one")
	for _, statuses := range [][]int{{429}, {500}, {502, 503, 504}} {
		w.answerWith(statuses...)
		c.say(`{"text":"x"}`)
		c.want(`{"text":"x"}`)
	}
}

// They are made again until the event is over, however often that is, and then the
// connection is closed: its client has missed something.
func TestRetriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t, nil, nil)
		var tries, deletes int
		broken := doer(func(req *http.Request) (*http.Response, error) {
			res := &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: req}
			if req.Method == http.MethodDelete {
				deletes++
				res.StatusCode = http.StatusNoContent
			} else {
				tries++
			}
			return res, nil
		})
		cfg := config
		cfg.HTTPClient = broken
		w := &world{tb: t, stage: "test", eventTime: 20 * time.Second}
		w.fn = awslambda.Handler(srv, awslambda.Options{Store: memory.NewStore(), Config: cfg})
		c := &client{w: w, id: "L0="}
		connect := c.event("CONNECT", "$connect")
		connect.QueryStringParameters = map[string]string{"room": "one"}
		if _, err := w.invoke(connect); err != nil {
			t.Fatal(err)
		}
		message, began := c.event("MESSAGE", "$default"), time.Now()
		message.Body = `{"text":"x"}`
		_, err := w.invoke(message)
		if took := time.Since(began); took < 18*time.Second || took > 20*time.Second {
			t.Errorf("the event took %v, and came to %v", took, err)
		}
		if tries < 8 || tries > 40 || deletes != 1 {
			t.Errorf("%d posts and %d deletes", tries, deletes)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A connection that the gateway does not know any more is forgotten where it is met,
// whichever way it says so, and its OnDisconnect runs.
func TestGone(t *testing.T) {
	for name, says := range map[string]func(http.Header){
		"by type":   func(h http.Header) { h.Set("X-Amzn-Errortype", "GoneException") },
		"by status": func(http.Header) {},
	} {
		srv, a := newServer(t, nil, nil)
		w := newWorld(t, srv, nil)
		w.saysGone = says
		c, lost := w.dialIn("one"), w.dialIn("one")
		lost.vanish()
		c.say(`{"action":"say","text":"hello"}`)
		if code := <-a.left; code != kanava.CloseAbnormal {
			t.Errorf("%s: OnDisconnect saw %d", name, code)
		}
		c.next() // the event, and the reply
		c.next()
	}
}

// What is wired wrongly shows when the program starts.
func TestOptions(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	good := awslambda.Options{Store: memory.NewStore(), Config: config}
	for _, tt := range []struct {
		want   string
		change func(*awslambda.Options)
	}{
		{"awslambda: Handler has no Options.Store", func(o *awslambda.Options) { o.Store = nil }},
		{"awslambda: Handler has no Options.Config.Region", func(o *awslambda.Options) { o.Config.Region = "" }},
		{"awslambda: Handler has no Options.Config.Credentials", func(o *awslambda.Options) { o.Config.Credentials = nil }},
		{`awslambda: Handler: the endpoint of the management API is "wss://x", which is no https:// address`, func(o *awslambda.Options) { o.Endpoint = "wss://x" }},
		{`awslambda: Handler: the endpoint of the management API is "abc", which is no https:// address`, func(o *awslambda.Options) { o.Config.BaseEndpoint = aws.String("abc") }},
	} {
		o := good
		tt.change(&o)
		if got := panicOf(func() { awslambda.Handler(srv, o) }); got != tt.want {
			t.Errorf("got %v\nwant %s", got, tt.want)
		}
	}
	if got := panicOf(func() { awslambda.Handler(nil, good) }); got != "awslambda: Handler has no Server" {
		t.Errorf("got %v", got)
	}
	if got := panicOf(func() { awslambda.Reach(nil, good) }); got != "awslambda: Reach has no Server" {
		t.Errorf("got %v", got)
	}
	if got := panicOf(func() { awslambda.AuthorizerHandler(nil) }); got != "awslambda: AuthorizerHandler has no AuthorizeFunc" {
		t.Errorf("got %v", got)
	}
}

func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// A node that lives on, and a function: an event published on either reaches both.
func TestReach(t *testing.T) {
	backend := memory.New()
	far, a := newServer(t, backend.Engine(), nil)
	w := newWorld(t, far, nil)
	node, b := newServer(t, backend.Engine(), nil)
	awslambda.Reach(node, w.options())
	c := w.dialIn("one")

	if err := b.topic.Publish(t.Context(), "one", said{"from the node"}); err != nil {
		t.Fatal(err)
	}
	c.want(`{"topic":"room:one","data":{"text":"from the node"}}`)

	held := kanavatest.Dial(t, node, "/room?room=one")
	held.Expect(`{"text":"welcome"}`)
	c.say(`{"action":"say","text":"from the function"}`)
	held.Expect(`{"topic":"room:one","data":{"text":"from the function"}}`)

	// A function may publish for other reasons than an event of the gateway.
	other := w.dialIn("two")
	if err := a.topic.Publish(t.Context(), "two", said{"by itself"}); err != nil {
		t.Fatal(err)
	}
	if err := w.fn.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(other.inbox); n != 1 {
		t.Errorf("%d messages are there when Settle returns, want 1", n)
	}
}
