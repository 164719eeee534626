package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

type riggedStore struct {
	engine.Store
	save  func(do func() (uint64, error)) (uint64, error)
	join  func(ctx context.Context, group string, do func() error) error
	leave func(group string) error
	data  func([]byte)
}

func (s *riggedStore) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if s.data != nil {
		s.data(data)
	}
	do := func() (uint64, error) { return s.Store.Save(ctx, id, data, version, ttl) }
	if s.save != nil {
		return s.save(do)
	}
	return do()
}

func (s *riggedStore) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	do := func() error { return s.Store.Join(context.WithoutCancel(ctx), group, member, ttl) }
	if s.join != nil {
		return s.join(ctx, group, do)
	}
	return do()
}

func (s *riggedStore) Leave(ctx context.Context, group, member string) error {
	if s.leave != nil {
		if err := s.leave(group); err != nil {
			return err
		}
	}
	return s.Store.Leave(ctx, group, member)
}

type riggedPlatform struct {
	kanava.Platform
	send  func(id string)
	close func(id string) bool
}

func (p *riggedPlatform) Send(ctx context.Context, id string, f kanava.Frame) error {
	if p.send != nil {
		p.send(id)
	}
	return p.Platform.Send(ctx, id, f)
}

func (p *riggedPlatform) Close(ctx context.Context, id string, code kanava.CloseCode, reason string) error {
	if p.close != nil && !p.close(id) {
		return nil
	}
	return p.Platform.Close(ctx, id, code, reason)
}

type rig struct {
	*cloud
	t       *testing.T
	st      *riggedStore
	pf      *riggedPlatform
	gate    chan struct{}
	once    sync.Once
	hub     *kanava.EventHub
	srv     *server
	room    *kanava.Topic[string]
	priv    *kanava.Topic[string]
	people  *kanava.Presence[text]
	note    *kanava.Push[string]
	raw     *kanava.Push[[]byte]
	data    func([]byte)
	value   *kanava.Value[string]
	ran     atomic.Int64
	closed  bool
	onConn  func(ctx context.Context, ch *line) (text, error)
	auth    func(ctx context.Context, r *kanava.OpenRequest) (*account, error)
	done    sync.WaitGroup
	waiting atomic.Int64
}

func inRig(t *testing.T, change func(*kanava.StatelessOptions), set func(*rig), f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { runRig(t, change, set, f) })
}

func runRig(t *testing.T, change func(*kanava.StatelessOptions), set func(*rig), f func(t *testing.T, r *rig)) {
	t.Helper()
	func() {
		r := &rig{t: t, gate: make(chan struct{})}
		r.cloud = &cloud{ground: memory.New(), store: memory.NewStore(), codes: make(chan kanava.CloseCode, 1000)}
		r.st = &riggedStore{Store: r.cloud.store}
		r.pf = &riggedPlatform{}
		if set != nil {
			set(r)
		}
		r.hub = kanava.NewEventHub(kanava.HubOptions{Engine: r.ground.Engine(), Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(r.hub.Close)
		r.room = kanava.NewTopic[string](r.hub, "room", kanava.Recoverable(1000, time.Hour))
		r.priv = kanava.NewTopic[string](r.hub, "priv", kanava.Recoverable(1000, time.Hour), kanava.Private())
		r.people = kanava.NewPresence[text](r.hub, "room")
		r.note = kanava.NewPush[string]("note")
		r.raw = kanava.NewPush[[]byte]("raw")
		r.st.data = r.data
		r.value = kanava.NewValue[string]("v")
		on := func(name string, f func(ctx context.Context, ch *line, in said) (string, error)) route {
			return kanava.On(name, func(ctx context.Context, ch *line, in said) (string, error) {
				r.ran.Add(1)
				return f(ctx, ch, in)
			}, kanava.Public())
		}
		wait := func() { r.waiting.Add(1); <-r.gate }
		opts := kanava.Options[account]{EventHub: r.hub, AllowUserChange: true, Logger: r.log.logger()}
		if r.auth != nil {
			opts.Authenticate = r.auth
		}
		r.srv = serve(t, opts, wiring{
			Public: !r.closed,
			OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
				r.joined.Add(1)
				if r.onConn != nil {
					return r.onConn(ctx, ch)
				}
				return text{"welcome"}, nil
			}),
			OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
				r.left.Add(1)
				return nil
			}),
			Messages: by(login(), logout(), whoami(),
				on("enter", func(ctx context.Context, ch *line, in said) (string, error) {
					return "in", r.room.Subscribe(ctx, ch, in.Message)
				}),
				on("exit", func(ctx context.Context, ch *line, in said) (string, error) {
					return "out", r.room.Unsubscribe(ctx, ch, in.Message)
				}),
				on("say", func(ctx context.Context, ch *line, in said) (string, error) {
					return "said", r.room.Publish(ctx, in.Message, "ev")
				}),
				on("id", func(ctx context.Context, ch *line, in said) (string, error) { return ch.ID(), nil }),
				on("waitbob", func(ctx context.Context, ch *line, in said) (string, error) {
					wait()
					return "ok", ch.SetSession(ctx, account{ID: "bob"})
				}),
				on("waitout", func(ctx context.Context, ch *line, in said) (string, error) {
					wait()
					return "ok", ch.ClearSession(ctx)
				}),
				on("waitsay", func(ctx context.Context, ch *line, in said) (string, error) {
					wait()
					return "said", r.room.Publish(ctx, in.Message, "ev")
				}),
				on("waitenter", func(ctx context.Context, ch *line, in said) (string, error) {
					wait()
					return "in", r.room.Subscribe(ctx, ch, in.Message)
				}),
				on("waitsecret", func(ctx context.Context, ch *line, in said) (string, error) {
					who := ch.Session().ID
					wait()
					return "for " + who, nil
				}),
				on("set", func(ctx context.Context, ch *line, in said) (string, error) {
					return "set", r.value.Set(ctx, ch, in.Message)
				}),
				on("sneak", func(ctx context.Context, ch *line, in said) (string, error) {
					who := ch.Session().ID
					wait()
					err := r.value.Set(ctx, ch, "x")
					v, _, err2 := r.value.Get(ctx, ch)
					return fmt.Sprintf("begun by %s: set %v, get %s %v", who, codeOf(err), v, err2), nil
				}),
				on("priv", func(ctx context.Context, ch *line, in said) (string, error) {
					return "in", r.priv.Subscribe(ctx, ch, in.Message)
				}),
				on("join", func(ctx context.Context, ch *line, in said) (string, error) {
					return "there", r.people.Join(ctx, ch, "all", text(in))
				}),
				on("who", func(ctx context.Context, _ *line, _ said) (string, error) {
					var ids []string
					for m, err := range r.people.Members(ctx, "all") {
						if err != nil {
							return "", err
						}
						ids = append(ids, m.ID)
					}
					return strings.Join(ids, ","), nil
				}),
				on("late", func(ctx context.Context, ch *line, in said) (string, error) {
					if err := r.people.Join(ctx, ch, "all", text{"x"}); err != nil {
						return "", err
					}
					err := r.people.Leave(ctx, ch, "all")
					time.Sleep(600 * time.Millisecond)
					return "", err
				}),
				on("bg", func(ctx context.Context, ch *line, in said) (string, error) {
					go func() {
						time.Sleep(100 * time.Millisecond)
						_ = r.room.Publish(context.WithoutCancel(ctx), in.Message, "ev")
					}()
					return "ok", nil
				}),
				kanava.OnDo("bytes", func(ctx context.Context, ch *line, _ said) error { return r.raw.Send(ctx, ch, []byte{1, 2}) }, kanava.Public()),
				on("signs", func(ctx context.Context, ch *line, in said) (string, error) {
					err := r.room.Subscribe(ctx, ch, "all")
					for range 20 {
						err = errors.Join(err, ch.SetSession(ctx, account{ID: "ann"}))
					}
					return "ok", err
				}),
			),
			Declares: []kanava.Declared{r.room, r.priv, r.people, r.note, r.raw, r.value},
		})
		r.Gateway = newGateway(t, r.st, func(o *kanava.StatelessOptions) {
			r.pf.Platform = o.Platform
			o.Platform = r.pf
			if change != nil {
				change(o)
			}
		}, r.srv)
		rigGateway = r.Gateway
		defer func() {
			r.open()
			r.done.Wait()
		}()
		f(t, r)
	}()
}

func (r *rig) open() { r.once.Do(func() { close(r.gate) }) }

// eventAtOnce runs a message in an event of its own, at once.
func (r *rig) eventAtOnce(g *guest, frame string) {
	r.done.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_ = r.Next().Message(ctx, g.ID(), []byte(frame), false, nil)
	})
	synctest.Wait()
}

func (r *rig) idOf(g *guest) string {
	g.tell(`{"action":"id"}`)
	var id struct {
		Result string `json:"result"`
	}
	g.into(&id)
	return id.Result
}

func (r *rig) login(g *guest, id string) {
	g.tell(`{"action":"login","id":"` + id + `"}`)
	g.expect(`{"action":"login"}`)
}
