package kanava_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
)

// What is sent to a connection that has not been greeted waits: the answer to
// the hello is the first frame, and the result of OnConnect comes before what
// was pushed and published.
func TestP3_NothingComesBeforeOpen(t *testing.T) {
	notice := kanava.NewPush[text]("notice")
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(echoRoute())})
	c := dialV1(t, srv, "/test")
	ch, err := srv.Conns().Get(t.Context(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := notice.Send(t.Context(), ch, text{"early"}); err != nil {
		t.Fatal(err)
	}
	if err := srv.EventHub().Subscribe(t.Context(), "news", c.ID()); err != nil {
		t.Fatal(err)
	}
	if err := srv.EventHub().Publish(t.Context(), "news", 1); err != nil {
		t.Fatal(err)
	}
	c.ExpectNone()
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"open":{…}}`)
	c.Expect(`{"push":""}`)
	c.Expect(`{"push":"notice","v":{"message":"early"}}`)
	expectLike(t, c, `{"sub":"news",…}`)
	expectLike(t, c, `{"on":"news",…"data":1}`)
}

// A client need not wait for open: what it sends behind its hello waits.
func TestP3_FramesBehindTheHelloWaitForOpen(t *testing.T) {
	gate := make(chan struct{})
	srv := serve(t, kanava.Options[account]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) { <-gate; return nil, nil },
	}, wiring{
		Public: true, Messages: by(echoRoute()),
		OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }),
	})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	c.SendText(`{"do":"echo","id":1,"in":{"message":"x"}}`)
	c.SendText(`{"do":"echo","id":2,"in":{"message":"y"}}`)
	c.SendText(`{"cancel":2}`)
	c.SendBinary([]byte{7})
	c.SendText(`{"ping":true,"id":3}`)
	c.SendText(`{"dance":1,"id":4}`)
	c.ExpectNone()
	close(gate)
	expectLike(t, c, `{"open":{…}}`)
	c.Expect(`{"push":""}`)
	c.Expect(`{"re":3}`)
	expectLike(t, c, `{"re":4,"err":{"code":"unimplemented",…}}`)
	c.Expect(`{"re":1,"out":{"message":"x"}}`)
	expectLike(t, c, `{"re":2,"err":{"code":"canceled",…}}`)
	if got := c.NextBinary(); len(got) != 1 || got[0] != 7 {
		t.Errorf("got %x", got)
	}
}

// A ping is answered while OnConnect runs.
func TestP13_APingOvertakesOnConnect(t *testing.T) {
	gate := make(chan struct{})
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnConnect: kanava.ConnectFunc(
		func(context.Context, *line) (text, error) { <-gate; return text{"hi"}, nil })})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"open":{…}}`)
	c.SendText(`{"ping":true,"id":1}`)
	c.Expect(`{"re":1}`)
	close(gate)
	c.Expect(`{"push":"","v":{"message":"hi"}}`)
}

func TestP3_AuthenticateThatNeverReturnsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		srv := serve(t, kanava.Options[account]{
			Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) { <-gate; return &account{ID: "ada"}, nil },
		}, wiring{Messages: by(echoRoute())})
		c := dialV1(t, srv, "/test")
		c.SendText(`{"hello":{}}`)
		time.Sleep(16 * time.Second)
		expectLike(t, c, `{"re":0,"err":{"code":"deadline_exceeded",…}}`)
		c.Expect(`{"away":{"code":4500}}`)
		close(gate)
		c.ExpectClose(kanava.CloseInternal)
		synctest.Wait()
		if conns, err := srv.Conns().OfUser(t.Context(), "ada"); err != nil || len(conns) > 0 {
			t.Errorf("a connection that was refused belongs to a user: %v, %v", conns, err)
		}
	})
}

func TestP3_AuthenticateThatEndsItsGoroutineRefuses(t *testing.T) {
	srv := serve(t, kanava.Options[account]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) { runtime.Goexit(); return nil, nil },
	}, wiring{Messages: by(echoRoute())})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"re":0,"err":{"code":"internal",…}}`)
	expectEnd(t, c, kanava.CloseInternal)
}

// However a connection ends before it is open, its end is told, and
// OnDisconnect, which belongs to a connection that was open, does not run.
func TestSection5_EndsDuringTheGreeting(t *testing.T) {
	for _, onConnect := range []bool{false, true} {
		for name, end := range map[string]struct {
			code  kanava.CloseCode // 0: the client leaves
			said  bool
			ended func(srv *server, id string, leave func())
		}{
			"leave":              {0, false, func(_ *server, _ string, leave func()) { leave() }},
			"leave, hello said":  {0, true, func(_ *server, _ string, leave func()) { leave() }},
			"close":              {4001, false, func(srv *server, id string, _ func()) { _ = srv.Conns().Close(context.Background(), id, 4001, "") }},
			"close, hello said":  {4001, true, func(srv *server, id string, _ func()) { _ = srv.Conns().Close(context.Background(), id, 4001, "") }},
			"shut down":          {4503, false, func(srv *server, _ string, _ func()) { _ = srv.Shutdown(context.Background()) }},
			"cut":                {4503, false, func(srv *server, _ string, _ func()) { _ = srv.Shutdown(ended()) }},
			"cut and hello said": {4503, true, func(srv *server, _ string, _ func()) { _ = srv.Shutdown(ended()) }},
		} {
			var ran atomic.Int32
			entered, gate := make(chan struct{}), make(chan struct{})
			w := wiring{OnDisconnect: kanava.DisconnectFunc(func(context.Context, *line) error { ran.Add(1); return nil })}
			if onConnect {
				w.OnConnect = kanava.ConnectFunc(func(context.Context, *line) (text, error) { ran.Add(1); return text{}, nil })
			}
			srv := serve(t, kanava.Options[account]{
				Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) {
					close(entered)
					<-gate
					return nil, nil
				},
			}, w)
			c := dialV1(t, srv, "/test")
			if end.said {
				c.SendText(`{"hello":{}}`)
				receive(t, entered)
			}
			end.ended(srv, c.ID(), c.Leave)
			if end.code != 0 {
				expectLike(t, c, `{"away":{"code":`+jsonOf(t, uint16(end.code))+`…}}`)
			}
			close(gate)
			if end.code != 0 {
				c.ExpectClose(end.code)
			}
			receive(t, c.Done())
			if n := ran.Load(); n != 0 {
				t.Errorf("%s: %d functions of the connection ran", name, n)
			}
		}
	}
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Every close is announced with its own code, also where another was announced
// before, or OnConnect runs.
func TestSection6_EveryCloseIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnConnect: kanava.ConnectFunc(
			func(context.Context, *line) (text, error) {
				<-gate
				return text{}, kanava.Errorf(kanava.CodePermissionDenied, "no")
			})})
		c := dialV1(t, srv, "/test")
		c.SendText(`{"hello":{}}`)
		expectLike(t, c, `{"open":{…}}`)
		go func() { _ = srv.Shutdown(context.Background()) }()
		c.Expect(`{"away":{"code":4503,"in":[0,5000]}}`)
		close(gate)
		expectLike(t, c, `{"re":0,"err":{"code":"permission_denied",…}}`)
		expectEnd(t, c, kanava.CloseForbidden)
	})
}

// The client that does not read is the one that is not told.
func TestSection6_ASlowClientIsNotTold(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnMessage: kanava.Func(
		func(context.Context, *line, kanava.None) (string, error) { return "", nil })})
	c := openV1(t, srv)
	c.Stall()
	ch, err := srv.Conns().Get(t.Context(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	big := kanava.NewPush[string]("big")
	for range 3 {
		_ = big.Send(t.Context(), ch, strings.Repeat("x", 600_000))
	}
	c.Resume()
	c.ExpectClose(kanava.CloseSlowConsumer)
}
