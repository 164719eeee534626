package ws

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// A program as users write it, from the wiring to the socket.

type roomParams struct {
	Room string `json:"room" query:"room" minLength:"1"`
}

type user struct{ ID string }

type room = kanava.Channel[roomParams, user]

type (
	welcome struct {
		Welcome string `json:"welcome"`
	}
	say struct {
		Message string `json:"message"`
	}
	roomEvent struct {
		Message string `json:"message"`
	}
	login struct {
		Name string `json:"name"`
	}
	job struct {
		Steps int `json:"steps"`
	}
	progress struct {
		Step int `json:"step"`
	}
)

type app struct {
	rooms *kanava.Topic[roomEvent]
	begun chan struct{} // Slow has begun
	goOn  chan struct{} // lets Slow return
	left  chan kanava.CloseCode
}

func (a *app) Join(ctx context.Context, ch *room) (welcome, error) {
	name := ch.Opening().Room
	return welcome{"Welcome to " + name + "!"}, a.rooms.Subscribe(ctx, ch, name)
}

func (a *app) Leave(_ context.Context, ch *room) error {
	code, _ := ch.Closed()
	a.left <- code
	return nil
}

func (a *app) Echo(_ context.Context, _ *room, in say) (say, error) {
	return say{"Echo: " + in.Message}, nil
}

func (a *app) Reverse(_ context.Context, _ *room, p []byte) ([]byte, error) {
	slices.Reverse(p)
	return p, nil
}

func (a *app) Login(ctx context.Context, ch *room, in login) error {
	return ch.SetSession(ctx, user{in.Name})
}

func (a *app) Say(ctx context.Context, ch *room, in say) error {
	return a.rooms.Publish(ctx, ch.Opening().Room, roomEvent(in), kanava.Except(ch.ID()))
}

func (a *app) Work(ctx context.Context, _ *room, in job, out *kanava.Stream[progress]) error {
	for i := range in.Steps {
		if err := out.Send(ctx, progress{i}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) Quit(ctx context.Context, ch *room, _ kanava.None) error {
	return ch.Close(ctx, 4001, "bye")
}

func (a *app) Slow(ctx context.Context, _ *room, in say) (say, error) {
	a.begun <- struct{}{}
	select {
	case <-a.goOn:
		return in, nil
	case <-ctx.Done():
		return in, ctx.Err()
	}
}

// start serves the program. The test has to end its connections.
func start(t *testing.T, o Options) (*app, *kanava.Server[user], string) {
	t.Helper()
	srv := kanava.NewServer(kanava.Options[user]{
		Identify:    func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		DrainSpread: time.Second,
	})
	anyone := func(context.Context, user, string) error { return nil }
	a := &app{
		rooms: kanava.NewTopic[roomEvent](srv.EventHub(), "room", kanava.MaySubscribe(anyone)),
		begun: make(chan struct{}),
		goOn:  make(chan struct{}),
		left:  make(chan kanava.CloseCode, 10),
	}
	srv.Wire(kanava.Wiring[roomParams, user]{
		Name: "chat", Route: "/chat",
		OnConnect: kanava.ConnectFunc(a.Join), OnDisconnect: kanava.DisconnectFunc(a.Leave),
		OnMessage: kanava.Func(a.Echo, kanava.Public()), OnBinary: kanava.BinaryFunc(a.Reverse, kanava.Public()),
		Messages: kanava.By("action",
			kanava.OnDo("login", a.Login, kanava.Public()),
			kanava.OnDo("say", a.Say),
			kanava.OnStream("work", a.Work, kanava.Public()),
			kanava.OnDo("quit", a.Quit, kanava.Public()),
			kanava.On("slow", a.Slow, kanava.Public()),
		),
		Declares: []kanava.Declared{a.rooms},
	})
	mux := http.NewServeMux()
	mux.Handle("/chat", Handler(srv, o))
	web := httptest.NewUnstartedServer(mux)
	web.Config.ReadHeaderTimeout = 100 * time.Millisecond
	web.Start()
	t.Cleanup(web.Close)
	return a, srv, web.Listener.Addr().String()
}

// join connects a client to a room and reads its welcome.
func join(t *testing.T, addr, name string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.write([]byte(request("GET", "/chat?room="+name+" HTTP/1.1")))
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		b := make([]byte, 1)
		if _, err := nc.Read(b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
		head = append(head, b...)
	}
	c.want(ws.OpText, `{"welcome":"Welcome to `+name+`!"}`)
	return c
}

func (c *client) bye() {
	c.t.Helper()
	c.write(closeFrame(1000, ""))
	c.wantClose(1000)
	c.wantEOF()
}

func wantLeft(t *testing.T, a *app, want kanava.CloseCode) {
	t.Helper()
	if got := <-a.left; got != want {
		t.Errorf("OnDisconnect saw %d, want %d", got, want)
	}
}

func TestProgram(t *testing.T) {
	a, _, addr := start(t, Options{})
	c := join(t, addr, "general")
	c.write(message(`{"message":"hi"}`))
	c.want(ws.OpText, `{"message":"Echo: hi"}`)
	c.write(masked(true, ws.OpBinary, "abc"))
	c.want(ws.OpBinary, "cba")
	c.write(message(`{"action":"work","steps":3}`))
	for _, want := range []string{`{"step":0}`, `{"step":1}`, `{"step":2}`} {
		c.want(ws.OpText, want)
	}
	c.want(ws.OpText, `{"action":"work"}`)

	other := join(t, addr, "general")
	other.write(message(`{"action":"login","name":"alice"}`))
	other.want(ws.OpText, `{"action":"login"}`)
	other.write(message(`{"action":"say","message":"hello"}`))
	other.want(ws.OpText, `{"action":"say"}`)
	c.want(ws.OpText, `{"topic":"room:general","data":{"message":"hello"}}`)

	c.write(message(`{"broken`), message(`{"message":"still there"}`))
	if f := c.read(); !strings.Contains(string(f.Payload), `"code":"invalid_argument"`) {
		t.Errorf("malformed JSON is answered %s", f.Payload)
	}
	c.want(ws.OpText, `{"message":"Echo: still there"}`)
	c.bye()
	wantLeft(t, a, 1000)
	other.bye()
	wantLeft(t, a, 1000)
}

func TestProgramCloses(t *testing.T) {
	a, _, addr := start(t, Options{})
	c := join(t, addr, "x")
	c.write(message(`{"message":"1"}`), message(`{"action":"quit"}`))
	c.want(ws.OpText, `{"message":"Echo: 1"}`)
	c.want(ws.OpText, `{"action":"quit"}`) // what is running is flushed
	if reason := c.wantClose(4001); reason != "bye" {
		t.Errorf("reason %q", reason)
	}
	c.write(closeFrame(4001, ""))
	c.wantEOF()
	wantLeft(t, a, 4001)
}

// A client that reads nothing is closed with 4409 when its queue is full; the
// publisher and the others notice nothing.
func TestProgramSlowConsumer(t *testing.T) {
	a, _, addr := start(t, Options{})
	stuck, fine := join(t, addr, "x"), join(t, addr, "x")
	big := roomEvent{strings.Repeat("x", 30_000)}
	var code kanava.CloseCode
	for start := time.Now(); code == 0; {
		if time.Since(start) > 20*time.Second {
			t.Fatal("nobody is closed")
		}
		if err := a.rooms.Publish(t.Context(), "x", big); err != nil {
			t.Fatal(err)
		}
		fine.want(ws.OpText, `{"topic":"room:x","data":{"message":"`+big.Message+`"}}`)
		select {
		case code = <-a.left:
		default:
		}
	}
	if code != kanava.CloseSlowConsumer {
		t.Errorf("closed with %d", code)
	}
	stuck.nc.Close()
	fine.bye()
	wantLeft(t, a, 1000)
}

// Shutdown lets running functions finish and tells clients when to come back.
func TestProgramShutdown(t *testing.T) {
	a, srv, addr := start(t, Options{})
	busy, quiet := join(t, addr, "x"), join(t, addr, "x")
	busy.write(message(`{"action":"slow","message":"done"}`))
	<-a.begun
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()

	if reason := quiet.wantClose(kanava.CloseDraining); !strings.HasPrefix(reason, "draining 0-") {
		t.Errorf("reason %q", reason)
	}
	quiet.write(closeFrame(4503, ""))
	quiet.wantEOF()
	wantLeft(t, a, kanava.CloseDraining)

	res, err := http.Get("http://" + addr + "/chat")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %s", res.Status)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	late := newClient(t, nc)
	late.write([]byte(request("GET", "/chat?room=x HTTP/1.1")))
	b := make([]byte, 1000)
	n, err := nc.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 503 ") || !strings.Contains(string(b[:n]), "\r\nRetry-After: ") {
		t.Errorf("a late client is told %q, %v", b[:n], err)
	}

	close(a.goOn)
	busy.want(ws.OpText, `{"message":"done","action":"slow"}`)
	busy.wantClose(kanava.CloseDraining)
	busy.write(closeFrame(4503, ""))
	busy.wantEOF()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// Uploads of a client that sends faster than its calls run are held back by
// TCP, and none is lost.
func TestProgramBackPressure(t *testing.T) {
	a, _, addr := start(t, Options{})
	c := join(t, addr, "x")
	const n = 500
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		c.write(message(`{"action":"slow","message":"first"}`))
		c.write(bytes.Repeat(message(`{"message":"x"}`+strings.Repeat(" ", 2000)), n)) // more than may wait; small replies
	})
	<-a.begun
	close(a.goOn)
	c.want(ws.OpText, `{"message":"first","action":"slow"}`)
	for range n {
		c.want(ws.OpText, `{"message":"Echo: x"}`)
	}
	c.bye()
	wantLeft(t, a, 1000)
}

// Clients that begin an upgrade and stop cost the others nothing: the
// http.Server ends them by its ReadHeaderTimeout.
func TestUnfinishedUpgrades(t *testing.T) {
	a, _, addr := start(t, Options{})
	var unfinished []*client
	for range 500 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.write([]byte(request()[:60]))
		unfinished = append(unfinished, c)
	}
	c := join(t, addr, "x")
	c.write(message(`{"message":"hi"}`))
	c.want(ws.OpText, `{"message":"Echo: hi"}`)
	for _, u := range unfinished {
		b := make([]byte, 1000)
		for {
			if _, err := u.nc.Read(b); err != nil {
				break
			}
		}
	}
	c.bye()
	wantLeft(t, a, 1000)
}
