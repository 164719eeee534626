package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// These tests have events of one connection meet at the worst moment: openings, closes
// and publications.

func TestStatelessMessagesWaitForOnConnect(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.onConn = func(ctx context.Context, ch *line) (text, error) {
			<-r.gate
			return text{}, kanava.Errorf(kanava.CodePermissionDenied, "banned")
		}
	}, func(t *testing.T, r *rig) {
		g := r.knock(t)
		synctest.Wait()
		r.eventAtOnce(g, `{"action":"say","message":"all"}`)
		if n := r.ran.Load(); n != 0 {
			t.Errorf("%d functions ran before OnConnect had refused; the client has %q", n, g.all())
		}
		r.open()
		r.done.Wait()
		synctest.Wait()
		t.Log(g.all())
	})
}

func TestStatelessNothingRunsAfterAClose(t *testing.T) {
	inRig(t, nil, func(r *rig) { r.pf.close = func(string) bool { return false } }, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		if err := r.srv.Conns().CloseUser(t.Context(), "ann", 4201, "banned"); err != nil {
			t.Fatal(err)
		}
		before := r.ran.Load()
		r.eventAtOnce(g, `{"action":"set","message":"x"}`)
		if n := r.ran.Load() - before; n != 0 {
			t.Errorf("%d functions ran after the close", n)
		}
	})
}

func TestStatelessReachedWhileAnEventSettles(t *testing.T) {
	for _, what := range []string{"push", "close", "subscribe"} {
		t.Run(what, func(t *testing.T) {
			var slow atomic.Pointer[string]
			inRig(t, nil, func(r *rig) {
				r.pf.send = func(id string) {
					if s := slow.Load(); s != nil && *s == id {
						<-r.gate
					}
				}
			}, func(t *testing.T, r *rig) {
				a, b := r.join(t), r.join(t)
				b.do("enter", "all", "in")
				id := r.idOf(a)
				synctest.Wait()
				bid := b.ID()
				slow.Store(&bid)
				r.eventAtOnce(a, `{"action":"say","message":"all"}`) // answered, but still settling
				a.expect(`{"action":"say","result":"said"}`)
				var err error
				want := ""
				switch what {
				case "push":
					err, want = r.note.SendID(t.Context(), r.srv.Conns(), id, "psst"), "psst"
				case "close":
					err, want = r.srv.Conns().Close(t.Context(), id, 4201, "out"), "4201"
				}
				r.open()
				r.done.Wait()
				if all := a.all(); err == nil && want != "" && !strings.Contains(strings.Join(all, " "), want) {
					t.Errorf("%s returned nil, and the client was told %q", what, all)
				}
			})
		})
	}
}

func TestStatelessOwnEvent(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.eventAtOnce(g, `{"action":"waitsay","message":"den"}`)
		g.doAtOnce("enter", "den")
		t.Log(g.all())
		r.open()
		r.done.Wait()
		if all := strings.Join(g.all(), " "); !strings.Contains(all, `"topic":"room:den"`) {
			t.Errorf("subscribed before the event, and told only %s", all)
		}
	})
}

func TestStatelessSubscribesAgain(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		g.do("enter", "all", "in")
		r.eventAtOnce(g, `{"action":"waitenter","message":"all"}`)
		g.doAtOnce("exit", "all")
		r.open()
		r.done.Wait()
		t.Log(g.all())
		if err := r.room.Publish(t.Context(), "all", "x"); err != nil {
			t.Fatal(err)
		}
		if all := g.all(); len(all) != 1 {
			t.Errorf("Subscribe returned nil after Unsubscribe had; the client was told %q", all)
		}
	})
}

func TestStatelessEventsWaitForSlowOnes(t *testing.T) {
	inRig(t, nil, func(r *rig) { r.pf.send = func(string) { time.Sleep(time.Second) } }, func(t *testing.T, r *rig) {
		var guests []*guest
		for range 40 {
			g := r.join(t)
			g.do("enter", "all", "in")
			guests = append(guests, g)
		}
		for i := range 40 {
			if err := r.room.Publish(t.Context(), "all", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if all := guests[0].all(); len(all) != 40 {
			t.Errorf("of 40 events %d came; Publish said nil to all", len(all))
		}
	})
}

func TestStatelessPresenceLasts(t *testing.T) {
	inRig(t, func(o *kanava.StatelessOptions) { o.Keep = 20 * time.Minute }, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		g.do("join", "x", "there")
		for range 12 {
			time.Sleep(2 * time.Minute)
			g.tell(`{"action":"whoami"}`)
			g.next()
		}
		g.do("who", "", "ann")
	})
}

func TestStatelessNoOnDisconnectWithoutOnConnect(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.auth = func(ctx context.Context, _ *kanava.OpenRequest) (*account, error) {
			<-r.gate
			return &account{ID: "ann"}, nil
		}
	}, func(t *testing.T, r *rig) {
		g := r.knock(t, envelope)
		r.eventAtOnce(g, `{"hello":{}}`)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.Next().Disconnect(ctx, g.ID(), 1000, "")
		if j, l := r.joined.Load(), r.left.Load(); l != 0 && j == 0 {
			t.Errorf("OnDisconnect ran %d times, OnConnect %d", l, j)
		}
		r.open()
		r.done.Wait()
		synctest.Wait()
		t.Logf("at the end OnConnect ran %d times", r.joined.Load())
	})
}

func TestStatelessCallsWaitForOpen(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.auth = func(ctx context.Context, _ *kanava.OpenRequest) (*account, error) {
			<-r.gate
			return nil, kanava.Errorf(kanava.CodeUnauthenticated, "no")
		}
	}, func(t *testing.T, r *rig) {
		g := r.knock(t, envelope)
		r.eventAtOnce(g, `{"hello":{}}`)
		r.eventAtOnce(g, `{"do":"say","id":1,"in":{"message":"all"}}`)
		if all := g.all(); len(all) > 0 {
			t.Errorf("before Authenticate has answered: %q", all)
		}
		r.open()
		r.done.Wait()
		synctest.Wait()
	})
}

func TestStatelessSettlesBesideOthers(t *testing.T) {
	inRig(t, nil, func(r *rig) { r.pf.send = func(string) { time.Sleep(10 * time.Millisecond) } }, func(t *testing.T, r *rig) {
		a, b := r.join(t), r.join(t)
		b.do("enter", "all", "in")
		stop, cancel := context.WithCancel(t.Context())
		r.done.Go(func() {
			for stop.Err() == nil {
				_ = r.room.Publish(stop, "all", "busy")
				time.Sleep(8 * time.Millisecond)
			}
		})
		time.Sleep(time.Second)
		ctx, end := context.WithTimeout(t.Context(), 10*time.Second)
		defer end()
		begun := time.Now()
		err := r.Next().Message(ctx, a.ID(), []byte(`{"action":"id"}`), false, func(kanava.Frame) bool { return true })
		if took := time.Since(begun); took > 2*time.Second || err != nil {
			t.Errorf("a call that publishes nothing took %v: %v", took, err)
		}
		cancel()
	})
}

func TestStatelessRaceOfTime(t *testing.T) {
	runRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_ = r.Next().Message(ctx, g.ID(), []byte(`{"action":"late","message":"x"}`), false, nil)
	})
}

func TestStatelessRaceOfPresence(t *testing.T) {
	runRig(t, nil, func(r *rig) {
		r.closed = true
		r.auth = func(context.Context, *kanava.OpenRequest) (*account, error) { return &account{ID: "ann"}, nil }
	}, func(t *testing.T, r *rig) {
		g := r.knock(t, envelope)
		g.tell(`{"hello":{}}`)
		for i := range 30 {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_ = r.Next().Message(ctx, g.ID(), []byte(fmt.Sprintf(`{"do":"signs","id":%d,"in":{}}`, i+1)), false, nil)
			cancel()
		}
		_ = g.Waiting()
	})
}

func TestStatelessRaceOfInvalidFrames(t *testing.T) {
	var arrived atomic.Int64
	both := make(chan struct{})
	var armed atomic.Bool
	inRig(t, func(o *kanava.StatelessOptions) { o.Keep = 4 * time.Minute }, func(r *rig) {
		both = make(chan struct{})
		r.st.save = func(do func() (uint64, error)) (uint64, error) {
			if armed.Load() {
				if arrived.Add(1) == 2 {
					close(both)
				}
				<-both
			}
			return do()
		}
	}, func(t *testing.T, r *rig) {
		g := r.knock(t, envelope)
		g.tell(`{"hello":{}}`)
		g.tell(`{"x`)
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		armed.Store(true)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_ = r.Next().Message(ctx, g.ID(), []byte(`{"x`), false, nil)
			})
		}
		all.Wait()
		t.Log(arrived.Load())
	})
}

func TestStatelessValueOfAnother(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g := r.join(t)
		r.login(g, "ann")
		r.eventAtOnce(g, `{"action":"sneak"}`)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.Next().Message(ctx, g.ID(), []byte(`{"action":"login","id":"bob"}`), false, nil)
		g.doAtOnce("set", "bob's")
		g.drop()
		r.open()
		r.done.Wait()
		if all := strings.Join(g.all(), ""); strings.Contains(all, "bob's") {
			t.Errorf("told %s", all)
		}
	})
}

func TestStatelessFailedSubscribeIsUndone(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.st.join = func(ctx context.Context, group string, do func() error) error {
			err := do()
			if group == "room:all" {
				<-ctx.Done()
				return ctx.Err()
			}
			return err
		}
	}, func(t *testing.T, r *rig) {
		g := r.join(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = r.Next().Message(ctx, g.ID(), []byte(`{"action":"enter","message":"all"}`), false, nil)
		t.Log(g.all())
		if err := r.room.Publish(t.Context(), "all", "x"); err != nil {
			t.Fatal(err)
		}
		if all := g.all(); len(all) > 0 {
			t.Errorf("told %q of a subscription that was refused", all)
		}
	})
}

func TestStatelessRefusedOpeningIsForgotten(t *testing.T) {
	inRig(t, func(o *kanava.StatelessOptions) { o.TellsConnected = false }, func(r *rig) {
		r.onConn = func(ctx context.Context, ch *line) (text, error) {
			return text{strings.Repeat("x", 70<<10)}, r.room.Subscribe(ctx, ch, "all")
		}
	}, func(t *testing.T, r *rig) {
		_, err := r.Dial(t.Context(), transporttest.Request{Path: "/test"})
		n := 0
		for range r.store.Members(t.Context(), "room:all") {
			n++
		}
		time.Sleep(time.Hour)
		if err != nil && (r.left.Load() == 0 || n > 0) {
			t.Errorf("refused with %v; OnConnect ran %d, OnDisconnect %d; subscribers kept: %d", err, r.joined.Load(), r.left.Load(), n)
		}
	})
}

func TestStatelessOnConnectIsNotPassedBy(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		n := 0
		r.st.save = func(do func() (uint64, error)) (uint64, error) {
			v, err := do()
			if n++; err == nil && n == 3 { // 1: create, 2: touch, 3: begin
				return 0, errors.New("timeout")
			}
			return v, err
		}
	}, func(t *testing.T, r *rig) {
		g := r.knock(t)
		synctest.Wait()
		g.tell(`{"action":"say","message":"x"}`)
		all := g.all()
		if r.joined.Load() == 0 && r.ran.Load() > 0 {
			t.Errorf("functions run (%q), OnConnect never did", all)
		}
		_ = g.Close(1000, "")
		synctest.Wait()
		t.Logf("OnDisconnect ran %d times, OnConnect %d", r.left.Load(), r.joined.Load())
	})
}

func TestStatelessClosesWithoutStore(t *testing.T) {
	inRig(t, nil, func(r *rig) { r.auth = nil }, func(t *testing.T, r *rig) {
		g := r.join(t)
		g.tell(`{"action":"login","id":"ann","ms":60000}`)
		g.expect(`{"action":"login"}`)
		time.Sleep(2 * time.Minute)
		r.st.save = func(func() (uint64, error)) (uint64, error) { return 0, errors.New("throttled") }
		g.tell(`{"action":"id"}`)
		if all := g.all(); len(all) == 0 {
			t.Errorf("the session has expired, and the connection is not closed")
		}
	})
}

func TestStatelessOrderOfOneProcess(t *testing.T) {
	inRig(t, nil, nil, func(t *testing.T, r *rig) {
		g, _ := r.knock(t, envelope), 0
		g.tell(`{"hello":{}}`)
		g.tell(`{"do":"enter","id":1,"in":{"message":"all"}}`)
		synctest.Wait()
		g.drop()
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() { _ = r.room.Publish(t.Context(), "all", "x") })
		}
		all.Wait()
		time.Sleep(time.Minute)
		last, wrong := 0, 0
		for _, f := range g.all() {
			var o int
			if _, after, ok := strings.Cut(f, `"o":`); ok {
				_, _ = fmt.Sscanf(after, "%d", &o)
				if o < last {
					wrong++
				}
				last = o
			}
		}
		if wrong > 0 {
			t.Errorf("%d events came before an earlier one of the same process", wrong)
		}
	})
}
