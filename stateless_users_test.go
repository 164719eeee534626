package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// These tests have events of one connection meet at the worst moment: what one user has
// is not for the next, and nothing is said to be there that is not.

func TestStatelessFormerUsersSubscriptionEnds(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		r.eventAtOnce(g, `{"action":"waitbob"}`)
		g.doAtOnce("enter", "hers")
		r.open()
		r.done.Wait()
		synctest.Wait()
		g.drop()
		g.tell(`{"action":"whoami"}`)
		g.expect(`{"message":"bob","action":"whoami"}`)
		if err := r.room.Publish(t.Context(), "hers", "for ann"); err != nil {
			t.Fatal(err)
		}
		g.expectNone()
	})
}

var rigGateway *transporttest.Gateway

// doAtOnce is do by an event at once.
func (g *guest) doAtOnce(action, message string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_ = rigGateway.Next().Message(ctx, g.ID(), []byte(`{"action":"`+action+`","message":"`+message+`"}`), false, nil)
}

func (g *guest) drop() { g.Waiting() }

func (g *guest) all() (all []string) {
	synctest.Wait()
	for _, f := range g.Waiting() {
		all = append(all, fmt.Sprintf("%s/%d", f.Data, f.Code))
	}
	return all
}

func TestStatelessReachesTheUserOnly(t *testing.T) {
	inRig(t, nil, func(r *rig) { r.st.leave = func(string) error { return errors.New("throttled") } }, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		r.login(g, "bob")
		n, err := r.note.SendUser(t.Context(), r.srv.Conns(), "ann", "ann's secret")
		if all := g.all(); n != 0 || len(all) > 0 {
			t.Errorf("reached %d, %v; bob was told %q", n, err, all)
		}
		_ = r.srv.Conns().CloseUser(t.Context(), "ann", 4201, "ann is banned")
		if all := g.all(); len(all) > 0 {
			t.Errorf("bob's connection: %q", all)
		}
	})
}

func TestStatelessPrivateWhileSubscribing(t *testing.T) {
	var slow atomic.Bool
	inRig(t, nil, func(r *rig) {
		r.st.join = func(ctx context.Context, group string, do func() error) error {
			if slow.Load() && strings.HasPrefix(group, "priv:") {
				<-r.gate
			}
			return do()
		}
	}, func(t *testing.T, r *rig) {
		h, g := r.knock(t, envelope), r.knock(t, envelope)
		h.tell(`{"hello":{}}`)
		g.tell(`{"hello":{}}`)
		h.tell(`{"do":"priv","id":1,"in":{"message":"x"}}`)
		synctest.Wait()
		if err := r.priv.Publish(t.Context(), "x", "from before"); err != nil {
			t.Fatal(err)
		}
		epoch := ""
		for _, f := range h.all() {
			if _, after, ok := strings.Cut(f, `"sub":"priv:x"`); ok {
				_, after, _ = strings.Cut(after, `"e":"`)
				epoch, _, _ = strings.Cut(after, `"`)
			}
		}
		g.drop()
		slow.Store(true)
		r.eventAtOnce(g, `{"do":"priv","id":1,"in":{"message":"x"}}`)
		r.eventAtOnce(g, fmt.Sprintf(`{"recover":"priv:x","id":2,"e":%q,"o":0}`, epoch))
		for _, f := range g.all() {
			if strings.Contains(f, "from before") {
				t.Errorf("told %s", f)
			}
			t.Log(f)
		}
	})
}

func TestStatelessUnsubscribeMeetsAnOlderEvent(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		id := r.idOf(g)
		r.eventAtOnce(g, `{"action":"waitsecret"}`) // any call that lasts
		g.doAtOnce("enter", "all")
		synctest.Wait()
		g.drop()
		err := r.hub.Unsubscribe(t.Context(), "room:all", id)
		_ = r.room.Publish(t.Context(), "all", "x")
		if all := g.all(); len(all) > 0 {
			t.Errorf("Unsubscribe returned %v, and the client was told %q", err, all)
		}
	})
}

func TestStatelessAnswersAreAsThePlatformCarries(t *testing.T) {
	inRig(t, func(o *kanava.StatelessOptions) { o.NoBinary = true }, nil, func(t *testing.T, r *rig) {
		g := r.knock(t, envelope)
		g.tell(`{"hello":{}}`)
		synctest.Wait()
		g.drop()
		var got []kanava.Frame
		_ = r.Next().Message(t.Context(), g.ID(), []byte(`{"do":"bytes","in":{}}`), false, func(f kanava.Frame) bool { got = append(got, f); return true })
		for _, f := range got {
			if f.Binary {
				t.Errorf("respond was given bytes where messages are text: %q", f.Data)
			}
		}
		t.Log(got)
	})
}

func TestStatelessForgetsCredentials(t *testing.T) {
	var last []byte
	inRig(t, nil, func(r *rig) {
		r.auth = func(context.Context, *kanava.OpenRequest) (*account, error) { return nil, nil }
		r.data = func(d []byte) { last = d }
	}, func(t *testing.T, r *rig) {
		g, err := r.Dial(t.Context(), transporttest.Request{Path: "/test", Subprotocols: []string{envelope}, Headers: map[string]string{"Authorization": "Bearer s3cret"}})
		if err != nil {
			t.Fatal(err)
		}
		r.pf.close = func(string) bool { return false }
		time.Sleep(20 * time.Second)
		_ = r.Next().Message(t.Context(), g.ID(), []byte(`{"hello":{}}`), false, nil) // too late
		if strings.Contains(string(last), "s3cret") {
			t.Errorf("kept after the refusal: %s", last)
		}
	})
}

func TestStatelessDeadConnectionsDoNotCount(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		for range 64 { // these ended, and their Leave failed or the process was killed in it
			g := r.join(t)
			r.login(g, "ann")
			r.st.leave = func(string) error { return errors.New("throttled") }
			_ = g.Close(1000, "")
			synctest.Wait()
		}
		r.st.leave = nil
		time.Sleep(time.Hour)
		g := r.join(t)
		g.tell(`{"action":"login","id":"ann"}`)
		if f := g.next(); strings.Contains(f, "error") {
			t.Errorf("ann has no connection: %s", f)
		}
	})
}

func TestStatelessPublishAfterTheReply(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g, h := r.join(t), r.join(t)
		g.do("enter", "all", "in")
		h.do("enter", "all", "in")
		g.do("bg", "all", "ok")
		time.Sleep(time.Second)
		if a, b := g.all(), h.all(); len(a) != 1 {
			t.Errorf("the own connection was told %q, another one %q", a, b)
		}
	})
}

func TestStatelessTwoLogins(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		g.tell(`{"action":"join","message":"x"}`)
		g.next()
		r.eventAtOnce(g, `{"action":"waitbob"}`)
		g.doAtOnce("join", "again")
		r.open()
		r.done.Wait()
		g.drop()
		g.tell(`{"action":"who"}`)
		if f := g.next(); strings.Contains(f, "ann") {
			t.Errorf("one join before, one meanwhile: %s", f)
		}
	})
}

func TestStatelessPresenceOfFormerUserEnds(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		r.eventAtOnce(g, `{"action":"waitbob"}`)
		g.doAtOnce("join", "x")
		r.open()
		r.done.Wait()
		g.drop()
		g.tell(`{"action":"whoami"}`)
		who := g.next()
		g.tell(`{"action":"who"}`)
		if f := g.next(); strings.Contains(f, "ann") {
			t.Errorf("%s, and there is %s", who, f)
		}
	})
}
