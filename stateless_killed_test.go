package kanava_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/kanavatest"
)

// A process that is killed in the middle of an event, wherever that is, leaves what
// the next one can go on with.
func TestStatelessKilledInAnEvent(t *testing.T) {
	for _, frame := range []string{
		`{"action":"login","id":"ann"}`, `{"action":"enter","message":"den"}`, `{"action":"count"}`,
		`{"action":"exit","message":"all"}`, `{"action":"join","message":"x"}`, `{"action":"say","message":"x"}`,
	} {
		for calls := 0; ; calls++ { // how many calls of the Store the process lives for
			killed := false
			inCloud(t, nil, func(t *testing.T, c *cloud) {
				g := c.join(t)
				doomed := c.newProcess(t)
				store := &mortalStore{Store: c.store, left: calls}
				dying := doomed.srv.Stateless(kanava.StatelessOptions{Store: store, Platform: mortalPlatform{c.Gateway, store}, TellsConnected: true})
				ctx, cancel := context.WithTimeout(t.Context(), kanavatest.Wait)
				_ = dying.Message(ctx, g.ID(), []byte(frame), false, nil)
				cancel()
				synctest.Wait()
				killed = store.dead.Load()
				g.Waiting() // it may have been answered, or not

				g.tell(`{"action":"login","id":"ann"}`)
				g.expect(`{"action":"login"}`)
				g.tell(`{"action":"whoami"}`)
				g.expect(`{"message":"ann","action":"whoami"}`)
				for _, room := range []string{"all", "den"} {
					g.do("exit", room, "out")
					g.do("enter", room, "in")
					if err := c.processes[0].room.Publish(t.Context(), room, "x"); err != nil {
						t.Fatal(err)
					}
					g.expect(`{"topic":"room:` + room + `","data":"x"}`)
				}
				g.do("join", "y", "there")
				g.do("who", "", "ann")
				g.tell(`{"action":"count"}`)
				if f := g.next(); !strings.Contains(f, `"1"`) && !strings.Contains(f, `"2"`) {
					t.Errorf("got %s", f)
				}
				g.expectNone()
			})
			if !killed || t.Failed() {
				break
			}
		}
	}
}

// mortalStore is a Store as one process sees it that dies after some calls: from then
// on nothing that the process does has an effect.
type mortalStore struct {
	engine.Store
	mu   sync.Mutex
	left int
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func (s *mortalStore) alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		s.dead.Store(true)
		return errDead
	}
	s.left--
	return nil
}

func (s *mortalStore) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, ids)
}

func (s *mortalStore) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if err := s.alive(); err != nil {
		return 0, err
	}
	return s.Store.Save(ctx, id, data, version, ttl)
}

func (s *mortalStore) Delete(ctx context.Context, id string) (engine.Record, error) {
	if err := s.alive(); err != nil {
		return engine.Record{}, err
	}
	return s.Store.Delete(ctx, id)
}

func (s *mortalStore) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.Store.Join(ctx, group, member, ttl)
}

func (s *mortalStore) Leave(ctx context.Context, group, member string) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.Store.Leave(ctx, group, member)
}

// mortalPlatform is the platform of such a process.
type mortalPlatform struct {
	kanava.Platform
	store *mortalStore
}

func (p mortalPlatform) Send(ctx context.Context, id string, f kanava.Frame) error {
	if p.store.dead.Load() {
		return errDead
	}
	return p.Platform.Send(ctx, id, f)
}

func (p mortalPlatform) Close(ctx context.Context, id string, code kanava.CloseCode, reason string) error {
	if p.store.dead.Load() {
		return errDead
	}
	return p.Platform.Close(ctx, id, code, reason)
}
