package kanava_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
)

var ctx = context.Background()

func yield() { runtime.Gosched() }

func presenceText(members map[string]presenceMember) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		list = append(list, fmt.Sprintf("%s*%d=%s", id, m.N, m.Data))
	}
	return strings.Join(list, " ")
}

// presenceRoom is a hub with a presence of numbers, and servers on it.
type presenceRoom struct {
	t    *testing.T
	hub  *kanava.EventHub
	here *kanava.Presence[int]
}

func newPresenceRoom(t *testing.T) *presenceRoom {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	return &presenceRoom{t, hub, kanava.NewPresence[int](hub, "room")}
}

func (r *presenceRoom) serve(w wiring) *server {
	return serve(r.t, kanava.Options[account]{EventHub: r.hub, AllowUserChange: true}, w)
}

// open connects a client, signs it in unless user is "", and lets it watch.
func (r *presenceRoom) open(srv *server, user string) *presencePeer {
	r.t.Helper()
	p, err := openPresence(srv)
	if err == nil && user != "" {
		err = p.ch.SetSession(ctx, account{ID: user})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.leave)
	return p
}

// drain shuts a server down that has these clients.
func (r *presenceRoom) drain(srv *server, clients ...*presencePeer) {
	r.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	synctest.Wait()
	for _, p := range clients {
		r.ok(p.take())
	}
	r.ok(<-ended)
}

func (r *presenceRoom) watch(p *presencePeer) *presencePeer {
	r.t.Helper()
	r.ok(r.hub.Subscribe(ctx, "room:x", p.link.ID()))
	return p
}

func (r *presenceRoom) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// expect demands what the client knows, once all has been told.
func (r *presenceRoom) expect(p *presencePeer, want string) {
	r.t.Helper()
	r.settle(p)
	if got := p.who("room:x"); got != want {
		r.t.Fatalf("the client knows of %q, want %q", got, want)
	}
}

// settle lets a client read once all has been told.
func (r *presenceRoom) settle(p *presencePeer) {
	r.t.Helper()
	time.Sleep(gathered)
	synctest.Wait()
	r.ok(p.take())
}

// gathered is when what has changed was told.
const gathered = 110 * time.Millisecond

// D12 A member is a user with all connections; who comes back within 5 s was
// not away.
func TestD12_MembersJoinAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true})
		eye := r.watch(r.open(srv, ""))
		r.expect(eye, "")
		ann, bob := r.open(srv, "ann"), r.open(srv, "bob")
		r.ok(r.here.Join(ctx, ann.ch, "x", 1))
		r.ok(r.here.Join(ctx, bob.ch, "x", 2))
		r.ok(r.here.Join(ctx, bob.ch, "y", 9))
		r.expect(eye, "ann*1=1 bob*1=2")
		phone := r.open(srv, "ann")
		r.ok(r.here.Join(ctx, phone.ch, "x", 3))
		r.expect(eye, "ann*2=3 bob*1=2")
		phone.leave()
		r.expect(eye, "ann*1=1 bob*1=2") // the data of who is there
		r.ok(r.here.Join(ctx, ann.ch, "x", 4))
		r.expect(eye, "ann*1=4 bob*1=2")

		told := eye.frames
		for range 3 { // flapping
			ann.leave()
			time.Sleep(4900 * time.Millisecond)
			ann = r.open(srv, "ann")
			r.ok(r.here.Join(ctx, ann.ch, "x", 4))
		}
		r.expect(eye, "ann*1=4 bob*1=2")
		if eye.frames != told {
			t.Errorf("%d frames for who came back", eye.frames-told)
		}
		r.ok(r.here.Leave(ctx, bob.ch, "x"))
		r.ok(r.here.Leave(ctx, bob.ch, "x"))
		r.expect(eye, "ann*1=4 bob*1=2")
		time.Sleep(5*time.Second - gathered)
		r.expect(eye, "ann*1=4")
		ann.leave()
		time.Sleep(5 * time.Second)
		r.expect(eye, "")
	})
}

// S5 Another user is another member; who signs out leaves; who had not signed in
// stays.
func TestS5_PresenceBelongsToTheUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true})
		eye, p := r.watch(r.open(srv, "")), r.open(srv, "ann")
		linger := 5 * time.Second
		r.ok(r.here.Join(ctx, p.ch, "x", 1))
		r.ok(p.ch.SetSession(ctx, account{ID: "ann", Roles: []string{"new"}}))
		time.Sleep(linger)
		r.expect(eye, "ann*1=1")
		r.ok(p.ch.SetSession(ctx, account{ID: "bob"}))
		r.expect(eye, "ann*1=1") // bob has not joined
		time.Sleep(linger)
		r.expect(eye, "")
		r.ok(r.here.Join(ctx, p.ch, "x", 2))
		r.expect(eye, "bob*1=2")
		r.ok(p.ch.ClearSession(ctx))
		time.Sleep(linger)
		r.expect(eye, "")
		r.ok(r.here.Join(ctx, p.ch, "x", 3))
		r.expect(eye, p.link.ID()+"*1=3")
		r.ok(p.ch.SetSession(ctx, account{ID: "cat"}))
		time.Sleep(linger)
		r.expect(eye, p.link.ID()+"*1=3") // until it joins again
		r.ok(r.here.Join(ctx, p.ch, "x", 4))
		time.Sleep(linger)
		r.expect(eye, "cat*1=4")
	})
}

// D12 A server that shuts down lets its members stand; those of one that has
// vanished leave within 65 s.
func TestD12_LeasesOfServersThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		stays, drains, vanishes := r.serve(wiring{Public: true}), r.serve(wiring{Public: true}), r.serve(wiring{Public: true})
		eye := r.watch(r.open(stays, ""))
		on := map[*server][]*presencePeer{}
		for i, srv := range []*server{stays, drains, vanishes} {
			for _, user := range []string{"ann", []string{"bob", "cat", "dan"}[i]} {
				p := r.open(srv, user)
				on[srv] = append(on[srv], p)
				r.ok(r.here.Join(ctx, p.ch, "x", i))
			}
		}
		r.expect(eye, "ann*3=2 bob*1=0 cat*1=1 dan*1=2")
		time.Sleep(5 * time.Minute) // leases are renewed
		r.expect(eye, "ann*3=2 bob*1=0 cat*1=1 dan*1=2")

		r.drain(drains, on[drains]...)
		r.expect(eye, "ann*2=2 bob*1=0 cat*1=1 dan*1=2")
		kanava.Vanish(vanishes)
		for _, p := range on[vanishes] {
			p.leave()
		}
		told := eye.seen["room:x"].v
		back := r.open(stays, "cat") // a deploy: who comes back was not seen leaving
		r.ok(r.here.Join(ctx, back.ch, "x", 1))
		time.Sleep(39 * time.Second)
		r.expect(eye, "ann*2=2 bob*1=0 cat*1=1 dan*1=2")
		if v := eye.seen["room:x"].v; v != told {
			t.Errorf("%d frames", v-told)
		}
		time.Sleep(26 * time.Second)
		r.expect(eye, "ann*1=0 bob*1=0 cat*1=1")
	})
}

// A server whose lease has ended, because its process was stopped for a while,
// says everything again.
func TestD12_AServerThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv, other := r.serve(wiring{Public: true}), r.serve(wiring{Public: true})
		eye, p := r.watch(r.open(other, "")), r.open(srv, "ann")
		r.ok(r.here.Join(ctx, p.ch, "x", 1))
		r.expect(eye, "ann*1=1")
		back := kanava.Vanish(srv)
		time.Sleep(time.Minute)
		r.expect(eye, "")
		back()
		r.ok(r.here.Join(ctx, p.ch, "y", 1))
		time.Sleep(20 * time.Second)
		r.expect(eye, "ann*1=1")
		time.Sleep(5 * time.Minute)
		r.expect(eye, "ann*1=1")
	})
}
