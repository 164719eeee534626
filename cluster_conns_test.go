package kanava_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
)

var (
	notice = kanava.NewPush[text]("notice")
	blob   = kanava.NewPush[[]byte]("blob")
	double = kanava.NewClientFunc[int, int]("double")
)

// connNode is a node of which others reach the connections.
type connNode struct {
	engine *memory.Engine
	srv    *server
}

func newConnNode(t *testing.T, ground *memory.Backend, w wiring) *connNode {
	t.Helper()
	n := &connNode{engine: ground.Engine()}
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: n.engine, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(hub.Close)
	w.Public, w.Messages, w.Declares = true, by(login()), []kanava.Declared{notice, double}
	n.srv = serve(t, kanava.Options[account]{EventHub: hub}, w)
	must(t, hub.Ready(t.Context()))
	return n
}

func onConnNodes(t *testing.T, f func(t *testing.T, a, b, c *connNode)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ground := memory.New()
		a, b, c := newConnNode(t, ground, wiring{}), newConnNode(t, ground, wiring{}), newConnNode(t, ground, wiring{})
		time.Sleep(time.Second)
		f(t, a, b, c)
	})
}

func (n *connNode) signIn(t *testing.T, user string) *kanavatest.Client {
	t.Helper()
	c := openV1(t, n.srv)
	c.SendText(fmt.Sprintf(`{"do":"login","in":{"id":%q},"id":1}`, user))
	c.Expect(`{"re":1}`)
	return c
}

func TestPushToAUserOnAllNodes(t *testing.T) {
	onConnNodes(t, func(t *testing.T, a, b, c *connNode) {
		clients := []*kanavatest.Client{a.signIn(t, "ann"), b.signIn(t, "ann"), c.signIn(t, "ann")}
		bob := b.signIn(t, "bob")
		n, err := notice.SendUser(t.Context(), a.srv.Conns(), "ann", text{"hello"})
		if n != 3 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		for _, x := range clients {
			x.Expect(`{"push":"notice","v":{"message":"hello"}}`)
		}
		if n, err := blob.SendUser(t.Context(), c.srv.Conns(), "bob", []byte{1, 2}); n != 1 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		if got := bob.NextBinary(); string(got) != "\x01\x02" {
			t.Errorf("got %q", got)
		}
		if n, err := notice.SendUser(t.Context(), a.srv.Conns(), "nobody", text{"hello"}); n != 0 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		must(t, notice.SendID(t.Context(), a.srv.Conns(), bob.ID(), text{"you"}))
		bob.Expect(`{"push":"notice","v":{"message":"you"}}`)
		if err := notice.SendID(t.Context(), a.srv.Conns(), "none", text{"you"}); codeOf(err) != kanava.CodeNotFound {
			t.Errorf("to nobody: %v", err)
		}
	})
}

func TestCloseOnAllNodes(t *testing.T) {
	onConnNodes(t, func(t *testing.T, a, b, c *connNode) {
		ann := []*kanavatest.Client{a.signIn(t, "ann"), b.signIn(t, "ann")}
		bob, cat := b.signIn(t, "bob"), c.signIn(t, "cat")
		must(t, c.srv.Conns().CloseUser(t.Context(), "ann", kanava.CloseUnauthenticated, "revoked"))
		for _, x := range ann {
			x.Expect(`{"away":{"code":4401}}`)
			x.ExpectClose(kanava.CloseUnauthenticated)
		}
		must(t, a.srv.Conns().Close(t.Context(), bob.ID(), 4000, "you"))
		bob.Expect(`{"away":{"code":4000}}`)
		bob.ExpectClose(4000)
		if err := a.srv.Conns().Close(t.Context(), "none", 4000, ""); codeOf(err) != kanava.CodeNotFound {
			t.Errorf("nobody: %v", err)
		}
		cat.ExpectNone()
	})
}

func TestCallAClientOfAnotherNode(t *testing.T) {
	onConnNodes(t, func(t *testing.T, a, b, _ *connNode) {
		c, p := b.signIn(t, "ann"), kanavatest.Dial(t, b.srv, "/test")
		for answer, want := range map[string]string{
			`{"re":%d,"out":42}`:   "42 <nil>",
			`{"re":%d,"out":"42"}`: "0 invalid_argument",
			`{"re":%d,"err":{"code":"not_found","message":"no such thing"}}`: "0 not_found",
		} {
			got := make(chan string, 1)
			go func() {
				out, err := double.CallID(t.Context(), a.srv.Conns(), c.ID(), 21)
				if code := codeOf(err); code != "" {
					got <- fmt.Sprint(out, " ", code)
				} else {
					got <- fmt.Sprint(out, " ", err)
				}
			}()
			call := kanavatest.Into[struct {
				ID   int    `json:"id"`
				Call string `json:"call"`
				In   int    `json:"in"`
			}](c)
			if call.Call != "double" || call.In != 21 {
				t.Fatalf("the client is asked %+v", call)
			}
			c.SendText(fmt.Sprintf(answer, call.ID))
			if g := <-got; g != want {
				t.Errorf("%s: %s, want %s", answer, g, want)
			}
		}
		if _, err := double.CallID(t.Context(), a.srv.Conns(), p.ID(), 1); codeOf(err) != kanava.CodeUnimplemented {
			t.Errorf("a client of the plain form: %v", err)
		}
		if _, err := double.CallID(t.Context(), a.srv.Conns(), "none", 1); codeOf(err) != kanava.CodeNotFound {
			t.Errorf("nobody: %v", err)
		}
	})
}

// A node that does not answer costs 2 s, and is told.
func TestANodeThatDoesNotAnswer(t *testing.T) {
	onConnNodes(t, func(t *testing.T, a, b, c *connNode) {
		ann := b.signIn(t, "ann")
		c.engine.Hang()
		began := time.Now()
		n, err := notice.SendUser(t.Context(), a.srv.Conns(), "ann", text{"hello"})
		if n != 1 || codeOf(err) != kanava.CodeUnavailable || time.Since(began) != 2*time.Second {
			t.Errorf("reached %d in %v: %v", n, time.Since(began), err)
		}
		ann.Expect(`{"push":"notice","v":{"message":"hello"}}`)
		time.Sleep(20 * time.Second) // nobody waits for it any more
		if n, err := notice.SendUser(t.Context(), a.srv.Conns(), "ann", text{"hello"}); n != 1 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		c.engine.Heal()
		time.Sleep(30 * time.Second)
		if n, err := notice.SendUser(t.Context(), c.srv.Conns(), "ann", text{"hello"}); n != 1 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
	})
}

// Outgoing middleware sees the type of what another node pushes, and nothing that
// it would not know passes it.
func TestMiddlewareSeesWhatAnotherNodePushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ground := memory.New()
		a := newConnNode(t, ground, wiring{})
		b := newConnNode(t, ground, wiring{Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if v, ok := p.Value.(text); ok {
					p.Value = text{"seen " + v.Message}
				}
				return next(ctx, p)
			}
		}}})
		time.Sleep(time.Second)
		c := b.signIn(t, "ann")
		if n, err := notice.SendUser(t.Context(), a.srv.Conns(), "ann", text{"it"}); n != 1 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		c.Expect(`{"push":"notice","v":{"message":"seen it"}}`)
		other := kanava.NewPush[text]("undeclared")
		if n, err := other.SendUser(t.Context(), a.srv.Conns(), "ann", text{"it"}); n != 0 || codeOf(err) != kanava.CodeFailedPrecondition {
			t.Errorf("reached %d: %v", n, err)
		}
		c.ExpectNone()
	})
}
