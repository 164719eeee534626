//go:build faults

package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/kanavatest"
)

const (
	roomName = "room"
	roomKey  = "general"

	// presenceTime is within what time all nodes know who is there.
	presenceTime = 65 * time.Second
	// publishTime is how long a publication may take, and a little.
	publishTime = 11 * time.Second
)

// member is a node of a program.
type member struct {
	testing.TB

	name   string
	hub    *kanava.EventHub
	room   *kanava.Topic[string] // Recoverable
	audit  *kanava.Topic[string] // Ordered
	price  *kanava.Topic[string] // Latest
	noise  *kanava.Topic[string] // Volatile
	there  *kanava.Presence[string]
	server *kanava.Server[user]
}

type user struct{ ID string }

func newMember(tb testing.TB, name string, opts redis.Options) *member {
	tb.Helper()
	quiet := slog.New(slog.DiscardHandler)
	opts.Logger = quiet
	e, err := redis.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	m := &member{TB: tb, name: name, hub: kanava.NewEventHub(kanava.HubOptions{Engine: e, Logger: quiet})}
	tb.Cleanup(m.hub.Close)
	m.room = kanava.NewTopic[string](m.hub, roomName, kanava.Recoverable(1_000_000, time.Hour))
	m.audit = kanava.NewTopic[string](m.hub, "audit")
	m.price = kanava.NewTopic[string](m.hub, "price", kanava.LatestBy(publisherOf))
	m.noise = kanava.NewTopic[string](m.hub, "noise", kanava.Volatile())
	m.there = kanava.NewPresence[string](m.hub, roomName)
	m.server = kanava.NewServer(kanava.Options[user]{
		EventHub: m.hub, Logger: quiet,
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*user, error) { return &user{r.Token}, nil },
		Identify:     func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	m.server.Wire(kanava.Wiring[kanava.None, user]{
		Name: "test", Route: "/test",
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[kanava.None, user]) (kanava.None, error) {
			return kanava.None{}, m.there.Join(ctx, ch, roomKey, "here")
		}),
	})
	m.await(30*time.Second, "that the hub is ready", func() bool { return m.hub.Ready(tb.Context()) == nil })
	return m
}

// await waits until is returns true.
func (m *member) await(limit time.Duration, what string, is func() bool) (took time.Duration) {
	m.Helper()
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if <-tick.C; time.Since(began) > limit {
			m.Fatalf("%s: not within %v: %s", m.name, limit, what)
		}
	}
	return time.Since(began)
}

// connect connects a user, who is there from then on.
func (m *member) connect(user string) *kanavatest.Client {
	m.Helper()
	client, err := kanavatest.DialRequest(m, m.server, &kanava.OpenRequest{URL: &url.URL{Path: "/test"}, Token: user})
	if err != nil {
		m.Fatal(err)
	}
	return client
}

// members are those who are there, as this node sees it.
func (m *member) members() string {
	var all []string
	for one, err := range m.there.Members(m.Context(), roomKey) {
		if err != nil {
			return err.Error()
		}
		all = append(all, one.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// event is what a publisher says.
func event(publisher string, number int) string { return fmt.Sprint(publisher, ": ", number) }

func publisherOf(event string) string {
	name, _, _ := strings.Cut(event, ": ")
	return name
}

// publisher publishes numbered events, each until it has been published.
type publisher struct {
	*member

	topic *kanava.Topic[string]
	said  int           // events
	again int           // publications that have failed
	most  time.Duration // that one has taken
}

func (p *publisher) run(stop <-chan struct{}) {
	turn := time.NewTicker(10 * time.Millisecond)
	defer turn.Stop()
	for {
		id := rand.Text()
		for {
			select {
			case <-stop:
				return
			case <-turn.C:
			}
			began := time.Now()
			err := p.topic.Publish(context.Background(), roomKey, event(p.name, p.said), kanava.Once(id))
			p.most = max(p.most, time.Since(began))
			if err == nil {
				break
			}
			p.again++
		}
		p.said++
	}
}

// lost stands among events where something is lost.
const lost = ""

// hearer is what a node hears of a topic.
type hearer struct {
	node  *member
	topic string

	mu    sync.Mutex
	heard []string // guarded by mu
}

// hear listens, and returns when it hears.
func (m *member) hear(name string, topic *kanava.Topic[string]) *hearer {
	m.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	x := &hearer{node: m, topic: name}
	var running sync.WaitGroup
	m.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		for ev, err := range topic.Listen(ctx, roomKey) {
			if _, told := errors.AsType[*kanava.LostError](err); err != nil && !told {
				if ctx.Err() == nil {
					m.Errorf("%s has ended: %v", x, err)
				}
				return
			}
			x.mu.Lock()
			x.heard = append(x.heard, ev) // the zero value if something is lost
			x.mu.Unlock()
		}
	})
	x.hears("begin", topic, m)
	return x
}

func (x *hearer) String() string { return "the listener of " + x.topic + " on " + x.node.name }

// hears publishes events until one is heard: they have a publisher of their own.
func (x *hearer) hears(name string, topic *kanava.Topic[string], at *member) {
	at.Helper()
	name += " of " + x.node.name
	i := 0
	at.await(70*time.Second, "that "+x.String()+" hears", func() bool {
		at.publish(topic, event(name, i))
		i++
		x.mu.Lock()
		defer x.mu.Unlock()
		return slices.ContainsFunc(x.heard, func(ev string) bool { return publisherOf(ev) == name })
	})
}

// publish publishes an event once, however often that has to be tried.
func (m *member) publish(topic *kanava.Topic[string], ev string) {
	m.Helper()
	id := rand.Text()
	m.await(30*time.Second, "publication", func() bool {
		return topic.Publish(m.Context(), roomKey, ev, kanava.Once(id)) == nil
	})
}
