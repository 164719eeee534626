package kanava_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
)

// crowdOf connects users, all of whom are subscribed to the room.
func crowdOf(tb testing.TB, n int) (*kanava.Presence[text], []*presencePeer) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	tb.Cleanup(hub.Close)
	here := kanava.NewPresence[text](hub, "room")
	srv := kanava.NewServer(kanava.Options[account]{EventHub: hub, Identify: identify, Logger: slog.New(slog.DiscardHandler)})
	srv.Wire(wiring{Name: "test", Route: "/test", Public: true})
	peers := make([]*presencePeer, n)
	for i := range peers {
		p, err := openPresence(srv)
		if err == nil {
			err = p.ch.SetSession(ctx, account{ID: fmt.Sprintf("user%05d", i)})
		}
		if err == nil {
			err = hub.Subscribe(ctx, "room:x", p.link.ID())
		}
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(p.leave)
		peers[i] = p
	}
	return here, peers
}

// D12 10,000 members who come within a second, each of whom is told of the
// others, cost each of them ten frames, and not ten thousand.
func TestD12_TenThousandAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 10_000
		here, peers := crowdOf(t, crowd)
		for i, p := range peers {
			if err := here.Join(ctx, p.ch, "x", text{"hello"}); err != nil {
				t.Fatal(err)
			}
			if i%100 == 99 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(gathered)
		frames := 0
		for _, p := range peers[:100] { // who did not read until now
			if err := p.take(); err != nil {
				t.Fatal(err)
			}
			if s := p.seen["room:x"]; s.count != crowd || s.listed || len(s.told) > 2 {
				t.Fatalf("count %d, listed %v, %d frames", s.count, s.listed, len(s.told))
			}
		}
		for i := range 100 {
			if err := here.Leave(ctx, peers[crowd-1-i].ch, "x"); err != nil {
				t.Fatal(err)
			}
			for _, p := range peers[:100] {
				if err := p.take(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		for range 60 { // they leave within one second, and each is read at once
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			for _, p := range peers[:100] {
				before := p.frames
				if err := p.take(); err != nil {
					t.Fatal(err)
				}
				frames += p.frames - before
			}
		}
		if s := peers[0].seen["room:x"]; s.count != crowd-100 || frames > 100*12 {
			t.Errorf("count %d; %d frames for 100 clients", s.count, frames)
		}
	})
}

// BenchmarkPresence is one user of 10,000 in a room who goes and comes back,
// while all of them are subscribed.
func BenchmarkPresence(b *testing.B) {
	here, peers := crowdOf(b, 10_000)
	for _, p := range peers {
		if err := here.Join(ctx, p.ch, "x", text{"hello"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p := peers[i%len(peers)]
		i += 7
		if err := here.Leave(ctx, p.ch, "x"); err != nil {
			b.Fatal(err)
		}
		if err := here.Join(ctx, p.ch, "x", text{"hello"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPresenceTold is what it costs to tell 10,000 subscribers of a change:
// in a small room who it was, in a large one how many there are.
func BenchmarkPresenceTold(b *testing.B) {
	for _, members := range []int{100, 10_000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			here, peers := crowdOf(b, 10_000)
			for _, p := range peers[:members] {
				if err := here.Join(ctx, p.ch, "x", text{"hello"}); err != nil {
					b.Fatal(err)
				}
			}
			read := func() {
				for _, p := range peers {
					for {
						batch, _ := p.link.Take(nil, 64<<10)
						if len(batch) == 0 {
							break
						}
					}
				}
			}
			read()
			b.ReportAllocs()
			key := 0
			for b.Loop() {
				key++
				if err := here.Join(ctx, peers[0].ch, "x", text{fmt.Sprint(key)}); err != nil {
					b.Fatal(err)
				}
				kanava.TellNow(here, "x", key%2)
				read()
			}
		})
	}
}
