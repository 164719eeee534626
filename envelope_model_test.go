package kanava_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
)

// modelCall is what the client knows of one of its calls.
type modelCall struct {
	action   string
	items    int
	ended    bool
	canceled bool // or left without an answer of the client
}

// modelServer offers functions of each kind: that end at once, when they are
// canceled, in their turn, beside others, after asking the client, not at all
// properly.
func modelServer() (srv *server, closeHub func()) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	confirm := kanava.NewClientFunc[text, verdict]("confirm")
	srv = kanava.NewServer(kanava.Options[account]{
		EventHub: hub, Limits: kanava.Limits{Rate: kanava.Unlimited, WaitingCalls: 4}, Logger: slog.New(slog.DiscardHandler),
	})
	until := func(ctx context.Context, _ *line, _ kanava.None) error { <-ctx.Done(); return ctx.Err() }
	srv.Wire(wiring{
		Name: "model", Route: "/model", Public: true,
		Messages: by(
			kanava.OnDo("quick", func(context.Context, *line, kanava.None) error { return nil }),
			kanava.OnDo("fail", func(context.Context, *line, kanava.None) error { return kanava.Errorf("x_so", "so") }),
			kanava.OnDo("panic", func(context.Context, *line, kanava.None) error { panic("so") }),
			kanava.OnDo("goexit", func(context.Context, *line, kanava.None) error { runtime.Goexit(); return nil }, kanava.Concurrent()),
			kanava.OnDo("turn", until),
			kanava.OnDo("beside", until, kanava.Concurrent()),
			kanava.OnStream("three", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
				for i := range 3 {
					if err := out.Send(ctx, i); err != nil {
						return err
					}
				}
				return nil
			}),
			kanava.OnStream("endless", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
				if err := out.Send(ctx, 0); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}),
			kanava.On("ask", func(ctx context.Context, ch *line, _ kanava.None) (verdict, error) {
				return confirm.Call(ctx, ch, text{"sure?"})
			}, kanava.Concurrent()),
			kanava.OnDo("switch", func(ctx context.Context, ch *line, _ kanava.None) error {
				if _, ok := ch.LookupSession(); ok {
					return ch.ClearSession(ctx)
				}
				return ch.SetSession(ctx, account{ID: "ada"})
			}),
		),
	})
	return srv, hub.Close
}

// modelClient is a client in a synctest bubble: after each step all has come
// that will come.
type modelClient struct {
	t     *rapid.T
	link  *kanava.Link
	calls map[uint64]*modelCall
	asked map[uint64]bool
	last  uint64
}

func (m *modelClient) Wake() {}

func (m *modelClient) send(format string, args ...any) {
	m.link.Receive(fmt.Appendf(nil, format, args...), false)
	m.settle()
}

func (m *modelClient) settle() {
	for {
		synctest.Wait()
		frames, _ := m.link.Take(nil, 1<<20)
		if len(frames) == 0 {
			return
		}
		for _, f := range frames {
			m.take(f.Data)
		}
	}
}

func (m *modelClient) take(data []byte) {
	var f struct {
		Re     *uint64         `json:"re"`
		Item   json.RawMessage `json:"item"`
		Call   *string         `json:"call"`
		ID     uint64          `json:"id"`
		Cancel uint64          `json:"cancel"`
		Err    *struct {
			Code string `json:"code"`
		} `json:"err"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		m.t.Fatalf("%s: %v", data, err)
	}
	switch {
	case f.Call != nil:
		if m.asked[f.ID] || f.ID == 0 {
			m.t.Fatalf("the server uses an id twice: %s", data)
		}
		m.asked[f.ID] = true
	case f.Cancel != 0:
		delete(m.asked, f.Cancel)
	case f.Re == nil:
	default:
		call := m.calls[*f.Re]
		if call == nil || call.ended {
			m.t.Fatalf("%s answers what was not asked, or has been answered", data)
		}
		if f.Item != nil {
			call.items++
			return
		}
		call.ended = true
		if call.action == "three" && f.Err == nil && call.items != 3 {
			m.t.Fatalf("the stream %d ends after %d items", *f.Re, call.items)
		}
		if f.Err != nil && f.Err.Code == "canceled" && !call.canceled {
			m.t.Fatalf("call %d was not canceled: %s", *f.Re, data)
		}
	}
}

// running returns the calls that have not ended, and may be canceled.
func (m *modelClient) running() (ids []uint64) {
	for id := uint64(1); id <= m.last; id++ {
		if call := m.calls[id]; call != nil && !call.ended {
			ids = append(ids, id)
		}
	}
	return ids
}

// Whatever calls, cancels, answers and sign-ins come, in whatever order, each
// call has one last frame, and nothing is left when the client leaves.
func TestP15_AgainstAModel(t *testing.T) {
	actions := []string{"quick", "fail", "panic", "goexit", "turn", "beside", "three", "endless", "ask", "switch", "nothing"}
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 60).Draw(rt, "steps")
		pick := rapid.SliceOfN(rapid.IntRange(0, 1<<20), len(steps), len(steps)).Draw(rt, "pick")
		leave := rapid.Bool().Draw(rt, "leave early")
		synctest.Test(t, func(*testing.T) {
			srv, closeHub := modelServer()
			defer closeHub()
			m := &modelClient{t: rt, calls: make(map[uint64]*modelCall), asked: make(map[uint64]bool)}
			var err error
			m.link, err = srv.Open(context.Background(), &kanava.OpenRequest{
				URL: &url.URL{Path: "/model"}, Subprotocols: []string{"kanava.v1"},
			}, m)
			if err != nil {
				rt.Fatal(err)
			}
			m.link.Start()
			m.send(`{"hello":{}}`)
			defer func() {
				m.link.Disconnect(kanava.CloseGoingAway, "")
				<-m.link.Done()
			}()
			for i, step := range steps {
				m.step(actions, step, pick[i])
			}
			if leave {
				return
			}
			for len(m.running()) > 0 { // a cancel ends each, also those that wait
				for _, id := range m.running() {
					m.calls[id].canceled = true
					m.send(`{"cancel":%d}`, id)
				}
			}
			if len(m.asked) > 0 {
				rt.Fatalf("%v are asked, and nobody waits for an answer", m.asked)
			}
		})
	})
}

func (m *modelClient) step(actions []string, step, pick int) {
	ids := m.running()
	switch {
	case step < 60 && len(ids) < 30: // no more than the server reads
		m.last++
		action := actions[pick%len(actions)]
		m.calls[m.last] = &modelCall{action: action}
		m.send(`{"do":%q,"id":%d}`, action, m.last)
	case step < 80 && len(ids) > 0:
		id := ids[pick%len(ids)]
		m.calls[id].canceled = true
		m.send(`{"cancel":%d}`, id)
	case step < 85:
		m.send(`{"cancel":%d}`, m.last+10)
	case step < 90:
		m.last++
		m.calls[m.last] = &modelCall{action: "ping"}
		m.send(`{"ping":true,"id":%d}`, m.last)
		if !m.calls[m.last].ended {
			m.t.Fatalf("ping %d is not answered at once", m.last)
		}
	default:
		for id := range m.asked {
			delete(m.asked, id)
			m.send(`{"re":%d,"out":{"yes":true}}`, id)
			return
		}
	}
}
