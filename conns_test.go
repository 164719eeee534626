package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// two are channels with the same functions.
func two(t *testing.T, opts kanava.Options[account]) *server {
	srv := serve(t, opts, wiring{Public: true})
	srv.Wire(wiring{Name: "other", Route: "/other", Public: true})
	return srv
}

func ids(conns iter.Seq[kanava.Conn]) string {
	var list []string
	for c := range conns {
		list = append(list, c.ID())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestConnsModel proves that the registry knows who is connected, where and as
// whom, and that a loop meets all who are there from its beginning to its end,
// once, whatever the loop and others do.
func TestConnsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		srv := kanava.NewServer(kanava.Options[account]{Identify: identify, AllowUserChange: true})
		srv.Wire(wiring{Name: "test", Route: "/test", Public: true}, wiring{Name: "other", Route: "/other", Public: true})
		conns := srv.Conns()
		type one struct {
			client  *exampleClient
			channel string
			user    string
		}
		there := map[string]*one{}
		defer func() {
			for _, o := range there {
				o.client.leave()
			}
		}()
		open := func() {
			channel := rapid.SampledFrom([]string{"test", "other"}).Draw(rt, "channel")
			c := connect(srv, "/"+channel)
			there[c.link.ID()] = &one{c, channel, ""}
		}
		leave := func() {
			if len(there) > 0 {
				id := rapid.SampledFrom(slices.Sorted(maps.Keys(there))).Draw(rt, "who")
				there[id].client.leave()
				delete(there, id)
			}
		}
		for range rapid.SampledFrom([]int{0, 3, 200}).Draw(rt, "at first") {
			open()
		}
		check := func() {
			byChannel, byUser, all := map[string][]string{}, map[string]int{}, slices.Sorted(maps.Keys(there))
			for _, id := range all {
				byChannel[there[id].channel] = append(byChannel[there[id].channel], id)
				if user := there[id].user; user != "" {
					byUser[user]++
				}
			}
			if got, want := ids(conns.All()), strings.Join(all, " "); got != want || conns.Count() != len(all) {
				rt.Fatalf("all are %s, want %s, count %d", got, want, conns.Count())
			}
			for _, channel := range []string{"test", "other", "none"} {
				want := byChannel[channel]
				if got := ids(conns.OfChannel(channel)); got != strings.Join(want, " ") || conns.CountOfChannel(channel) != len(want) {
					rt.Fatalf("on %s are %s, want %v, count %d", channel, got, want, conns.CountOfChannel(channel))
				}
			}
			for _, user := range []string{"ann", "bob", ""} {
				if got := conns.CountOfUser(user); got != byUser[user] {
					rt.Fatalf("%d connections of %q, want %d", got, user, byUser[user])
				}
			}
			if got := conns.CountUsers(); got != len(byUser) {
				rt.Fatalf("%d users, want %d", got, len(byUser))
			}
		}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				open()
			case 1:
				leave()
			case 2: // sign in or out
				if len(there) == 0 {
					break
				}
				o := there[rapid.SampledFrom(slices.Sorted(maps.Keys(there))).Draw(rt, "who")]
				c, err := conns.Get(ctx, o.client.link.ID())
				if err != nil {
					rt.Fatal(err)
				}
				if o.user = rapid.SampledFrom([]string{"ann", "bob", ""}).Draw(rt, "user"); o.user == "" {
					err = c.(*line).ClearSession(ctx)
				} else {
					err = c.(*line).SetSession(ctx, account{ID: o.user})
				}
				if err != nil {
					rt.Fatal(err)
				}
			case 3:
				stay := maps.Clone(there)
				met := map[string]int{}
				rest := rapid.IntRange(0, 200).Draw(rt, "break after")
				broken := false
				for c := range conns.All() {
					met[c.ID()]++
					if rapid.IntRange(0, 9).Draw(rt, "churn") == 0 {
						open()
						leave()
					}
					if rest--; rest < 0 {
						broken = true
						break
					}
				}
				for id := range stay {
					if there[id] != nil && met[id] != 1 && (!broken || met[id] > 1) {
						rt.Fatalf("a connection that was there all the time was met %d times", met[id])
					}
				}
			default:
				check()
			}
		}
		check()
	})
}

func TestCloseChannel(t *testing.T) {
	srv := two(t, kanava.Options[account]{})
	test, other := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/other")
	if err := srv.Conns().CloseChannel(ctx, "none", kanava.CloseNormal, ""); !isCode(err, kanava.CodeNotFound) {
		t.Errorf("error %v", err)
	}
	if err := srv.Conns().CloseChannel(ctx, "test", 4001, "closing time"); err != nil {
		t.Fatal(err)
	}
	if reason := test.ExpectClose(4001); reason != "closing time" {
		t.Errorf("reason %q", reason)
	}
	receive(t, test.Done())
	other.ExpectNone()
	if got := ids(srv.Conns().All()); got != other.ID() {
		t.Errorf("there are %s", got)
	}
}

// A connection that is closed, but has not ended, is not met any more.
func TestConnsThatAreClosed(t *testing.T) {
	srv := two(t, kanava.Options[account]{})
	stays, closed := connect(srv, "/test"), connect(srv, "/test")
	defer stays.leave()
	defer closed.leave()
	if err := srv.Conns().Close(ctx, closed.link.ID(), kanava.CloseNormal, ""); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{ids(srv.Conns().All()), ids(srv.Conns().OfChannel("test"))} {
		if got != stays.link.ID() {
			t.Errorf("there are %s", got)
		}
	}
	if _, err := srv.Conns().Get(ctx, closed.link.ID()); !isCode(err, kanava.CodeNotFound) {
		t.Errorf("error %v", err)
	}
}

// Who signs out in OnDisconnect is not counted out twice.
func TestSignOutInOnDisconnect(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{
		Messages: by(login()), Limits: kanava.Limits{UserConns: 2},
		OnDisconnect: kanava.DisconnectFunc(func(ctx context.Context, ch *line) error { return ch.ClearSession(ctx) }),
	})
	stays, leaves := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	for _, c := range []*kanavatest.Client{stays, leaves} {
		do(t, c, `{"action":"login","id":"ann"}`, "login")
	}
	leaves.Leave()
	receive(t, leaves.Done())
	if n, users := srv.Conns().CountOfUser("ann"), srv.Conns().CountUsers(); n != 1 || users != 1 {
		t.Errorf("%d connections, %d users", n, users)
	}
	for i := range 2 { // there is room for one more, and not for two
		c := kanavatest.Dial(t, srv, "/test")
		c.SendText(`{"action":"login","id":"ann"}`)
		if got := c.Next(); (got == `{"action":"login"}`) != (i == 0) {
			t.Errorf("the %d-th more: %s", i+1, got)
		}
	}
}

// A Push to a user reaches all connections of the user, in any form, and tells
// how many.
func TestPushToMany(t *testing.T) {
	note := kanava.NewPush[text]("note")
	srv := two(t, kanava.Options[account]{Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
		return &account{ID: "ann"}, nil
	}})
	srv.Wire(wiring{Name: "loud", Route: "/loud", Public: true, Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			p.Value = text{strings.ToUpper(p.Value.(text).Message)}
			return next(ctx, p)
		}
	}}}, wiring{Name: "mute", Route: "/mute", Public: true, Outgoing: []kanava.Outgoing{func(kanava.Sender) kanava.Sender {
		return func(context.Context, *kanava.Payload) error { return nil }
	}}}, wiring{Name: "small", Route: "/small", Public: true, Limits: kanava.Limits{Reply: 10}})
	plain, v1 := kanavatest.Dial(t, srv, "/test"), openV1(t, srv)
	loud, small, mute := kanavatest.Dial(t, srv, "/loud"), kanavatest.Dial(t, srv, "/small"), kanavatest.Dial(t, srv, "/mute")
	n, err := note.SendUser(ctx, srv.Conns(), "ann", text{"hello"})
	if n != 3 || !isCode(err, kanava.CodeTooLarge) {
		t.Errorf("reached %d, error %v", n, err)
	}
	plain.Expect(`{"message":"hello"}`)
	v1.Expect(`{"push":"note","v":{"message":"hello"}}`)
	loud.Expect(`{"message":"HELLO"}`)
	small.ExpectNone()
	mute.ExpectNone()
	n, err = note.SendAll(ctx, srv.Conns().OfChannel("test"), text{"again"})
	if n != 2 || err != nil {
		t.Errorf("reached %d, error %v", n, err)
	}
	plain.Expect(`{"message":"again"}`)
	v1.Expect(`{"push":"note","v":{"message":"again"}}`)
	if n, err := note.SendUser(ctx, srv.Conns(), "bob", text{"hello"}); n != 0 || err != nil {
		t.Errorf("reached %d, error %v", n, err)
	}
	if n, err := note.SendUser(ctx, srv.Conns(), "", text{"hello"}); n != 0 || err != nil {
		t.Errorf("nobody: reached %d, error %v", n, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if n, err := note.SendAll(ended, srv.Conns().All(), text{"hello"}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: reached %d, error %v", n, err)
	}
	raw := kanava.NewPush[[]byte]("raw")
	if n, err := raw.SendAll(ctx, srv.Conns().OfChannel("test"), []byte{1}); n != 2 || err != nil {
		t.Errorf("bytes: reached %d, error %v", n, err)
	}
	if got := plain.NextBinary(); !slices.Equal(got, []byte{1}) {
		t.Errorf("got %x", got)
	}
}

// However many connections there are, a value is encoded once for each form.
func TestPushToManyIsEncodedOnce(t *testing.T) {
	encoded := 0
	note := kanava.NewPush[counted]("note")
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true})
	for range 5 {
		kanavatest.Dial(t, srv, "/test")
		openV1(t, srv)
	}
	if n, err := note.SendAll(ctx, srv.Conns().All(), counted{&encoded}); n != 10 || err != nil || encoded != 2 {
		t.Errorf("reached %d, encoded %d times, error %v", n, encoded, err)
	}
}

type counted struct{ n *int }

func (c counted) MarshalJSON() ([]byte, error) {
	*c.n++
	return []byte(`1`), nil
}

// TestConnsUnderLoad is for the race detector: loops, counts and closes while
// clients come and go.
func TestConnsUnderLoad(t *testing.T) {
	srv := two(t, kanava.Options[account]{AllowUserChange: true})
	note := kanava.NewPush[int]("note")
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(i)))
			for range 50 {
				c := connect(srv, []string{"/test", "/other"}[rng.IntN(2)])
				if conn, err := srv.Conns().Get(ctx, c.link.ID()); err == nil {
					_ = conn.(*line).SetSession(ctx, account{ID: fmt.Sprint("user", rng.IntN(3))}) // it may have been closed
				}
				for range srv.Conns().OfChannel("test") {
					if rng.IntN(3) == 0 {
						break
					}
				}
				if _, err := note.SendUser(ctx, srv.Conns(), "user1", i); err != nil {
					t.Error(err)
				}
				if rng.IntN(10) == 0 {
					if err := srv.Conns().CloseUser(ctx, "user2", kanava.CloseForbidden, ""); err != nil {
						t.Error(err)
					}
				}
				c.leave()
			}
		})
	}
	work.Wait()
	if n, users, list := srv.Conns().Count(), srv.Conns().CountUsers(), ids(srv.Conns().All()); n != 0 || users != 0 || list != "" {
		t.Errorf("%d connections, %d users: %s", n, users, list)
	}
}
