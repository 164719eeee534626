package kanava

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// This file checks the promises of Peer and Link against a transport that does
// no more than they ask of it: its writer takes only when it was woken, and its
// reader, once told that the connection is full, looks again only when woken.
// So a Wake that is lost leaves one of them asleep, and the model sees it.

// step is what happens next in a schedule.
type step int

const (
	receiveEcho step = iota
	receiveLarge
	receiveGate
	receiveBeside
	receiveStream
	receiveGoexit
	receiveEmpty
	receiveAsk // kanava.v1: a function that calls the client
	askFull
	takeOne
	takeAll
	takeUncalled // a transport may look without being woken
	openGate     // one function that waits returns
	answerAsk
	callClient // kanava.v1: the same outside of a function
	pushOne
	publishOne
	publishVolatile
	publishLatest
	publishRecoverable
	passTime
	closeIt
	drainIt
	disconnectIt
	steps // their number
)

// phrases are what schedules are made of: each step, and what it takes to come
// to the corners of a full connection. Ends are rare, so that something comes
// before them.
var phrases = func() (list [][]step) {
	for s := range steps {
		for n := 4; n > 0; n-- {
			list = append(list, []step{s})
			if s == closeIt || s == drainIt || s == disconnectIt {
				break
			}
		}
	}
	for range 8 {
		list = append(list,
			[]step{receiveLarge, receiveGate, receiveGate, receiveGate, receiveGate},
			[]step{takeAll, askFull, openGate},
			[]step{askFull, openGate},
			[]step{askFull, callClient},
			[]step{publishRecoverable, publishRecoverable, publishRecoverable, publishRecoverable, publishRecoverable},
			[]step{publishLatest, publishVolatile, publishVolatile, publishRecoverable, publishRecoverable})
	}
	return list
}()

var stepNames = [steps]string{
	"receive echo", "receive large", "receive gate", "receive beside", "receive stream", "receive goexit", "receive empty", "receive ask",
	"full", "take one", "take all", "take uncalled", "open gate", "answer", "call client", "push", "publish", "publish volatile", "publish latest", "publish recoverable", "pass time", "close", "drain", "disconnect",
}

// moment is a step, and whether it begins while the one before is under way.
type moment struct {
	step   step
	beside bool
}

func (m moment) String() string {
	if m.beside {
		return "& " + stepNames[m.step]
	}
	return stepNames[m.step]
}

// model is a connection with its literal transport.
type model struct {
	c       *conn
	link    *Link
	srv     *Server[None]
	v1      bool
	push    *Push[string]
	topic   *Topic[string]
	classed map[step]*Topic[string] // by who publishes
	client  *ClientFunc[None, None]
	gate    chan struct{} // a value lets one function return
	wakes   atomic.Int64
	stopped chan error // of Shutdown

	// Of the writer.
	sleptAt int64 // value of wakes when Take had nothing; -1 while it is awake
	batch   []Frame
	replies int
	asks    atomic.Int64 // calls of the client's function that were taken
	closing *Closing
	stands  uint64 // where the client knows that the Recoverable topic stands

	// Of the reader.
	toldAt   int64 // value of wakes when it was told that the connection is full; -1 while it reads
	sent     int   // calls
	lastID   int
	answered int64

	disconnected bool
	connects     atomic.Int64
	disconnects  atomic.Int64
}

func (m *model) Wake() { m.wakes.Add(1) }

func newModel(v1, slowConnect bool) *model {
	m := &model{v1: v1, gate: make(chan struct{}), stopped: make(chan error, 1), sleptAt: -1, toldAt: -1}
	m.srv = NewServer(Options[None]{
		Limits: Limits{WaitingCalls: 3, WaitingBytes: 400, Queue: 1200, Rate: Unlimited, CallTime: time.Hour},
		Logger: slog.New(slog.DiscardHandler),
	})
	hub := m.srv.EventHub()
	m.push, m.topic = NewPush[string]("note"), NewTopic[string](hub, "room")
	m.classed = map[step]*Topic[string]{
		publishVolatile:    NewTopic[string](hub, "cursor", Volatile()),
		publishLatest:      NewTopic[string](hub, "price", Latest()),
		publishRecoverable: NewTopic[string](hub, "log", Recoverable(100, time.Hour)),
	}
	type channel = Channel[None, None]
	large := func(context.Context, *channel, None) (string, error) { return string(make([]byte, 120)), nil } // 720 bytes as JSON: more than half of the queue
	wait := func(ctx context.Context, _ *channel, _ None) error {
		select {
		case <-m.gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	client := NewClientFunc[None, None]("client")
	m.client = client
	m.srv.Wire(Wiring[None, None]{
		Name: "model", Route: "/", Public: true,
		OnConnect: ConnectFunc(func(ctx context.Context, ch *channel) (None, error) {
			m.connects.Add(1)
			if slowConnect {
				_ = wait(ctx, ch, None{})
			}
			for _, topic := range m.classed {
				if err := topic.Subscribe(ctx, ch, "a"); err != nil {
					return None{}, err
				}
			}
			return None{}, m.topic.Subscribe(ctx, ch, "a")
		}),
		OnDisconnect: DisconnectFunc(func(context.Context, *channel) error { m.disconnects.Add(1); return nil }),
		Messages: By("action",
			OnDo("echo", func(context.Context, *channel, None) error { return nil }),
			On("large", large),
			On("gate", func(ctx context.Context, ch *channel, in None) (string, error) {
				_ = wait(ctx, ch, in)
				return large(ctx, ch, in)
			}),
			OnDo("beside", wait, Concurrent()),
			OnStream("stream", func(ctx context.Context, _ *channel, _ None, out *Stream[string]) error {
				for range 4 {
					if err := out.Send(ctx, string(make([]byte, 60))); err != nil {
						return err
					}
				}
				return nil
			}),
			OnDo("goexit", func(context.Context, *channel, None) error { runtime.Goexit(); return nil }),
			OnDo("ask", func(ctx context.Context, ch *channel, _ None) error {
				_, err := client.Call(ctx, ch, None{})
				return err
			}, Concurrent()),
		),
		Declares: []Declared{m.push, m.topic, client},
	})
	req := &OpenRequest{URL: &url.URL{Path: "/"}, Header: http.Header{}}
	if v1 {
		req.Subprotocols = []string{"kanava.v1"}
	}
	var err error
	if m.link, err = m.srv.Open(context.Background(), req, m); err != nil {
		panic(err)
	}
	m.c = &m.link.c
	m.link.Start()
	if v1 {
		m.told(func() bool { return !m.link.Receive([]byte(`{"hello":{}}`), false) })
	}
	return m
}

// told notes whether the reader has to wait for a Wake. One that comes while
// full runs may be the one.
func (m *model) told(full func() bool) {
	before := m.wakes.Load()
	if full() {
		m.toldAt = before
	} else {
		m.toldAt = -1
	}
}

func (m *model) receive(action string) {
	if m.toldAt >= 0 {
		return // it waits
	}
	frame := ""
	if action != "" {
		m.sent++
		frame = fmt.Sprintf(`{"action":%q}`, action)
		if m.v1 {
			m.lastID++
			frame = fmt.Sprintf(`{"id":%d,"do":%q,"in":{}}`, m.lastID, action)
		}
	}
	m.told(func() bool { return !m.link.Receive([]byte(frame), false) })
}

func (m *model) take(most int) {
	before := m.wakes.Load()
	m.batch, m.closing = m.link.Take(m.batch[:0], most)
	if len(m.batch) == 0 {
		m.sleptAt = before
		return
	}
	m.sleptAt = -1
	for _, f := range m.batch {
		switch {
		case bytes.Contains(f.Data, []byte(`"call":`)):
			m.asks.Add(1)
		case m.v1 && bytes.Contains(f.Data, []byte(`:"log:a","`)):
			m.position(f.Data)
		case m.v1 && bytes.HasPrefix(f.Data, []byte(`{"re":`)) && !bytes.Contains(f.Data, []byte(`"item":`)), bytes.Contains(f.Data, []byte(`"action":`)):
			m.replies++
		}
	}
}

// position notes where the client is told that the Recoverable topic stands.
func (m *model) position(frame []byte) {
	var told struct {
		O uint64 `json:"o"`
	}
	if err := json.Unmarshal(frame, &told); err != nil {
		panic(err)
	}
	m.stands = told.O
}

// offset returns where the Recoverable topic stands.
func (m *model) offset() uint64 {
	sh := m.srv.EventHub().shard("log:a")
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := sh.topics["log:a"]
	if ts == nil {
		return 0
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.log.at.Offset
}

// isAwake reports whether the writer takes on, or was woken.
func (m *model) isAwake() bool { return m.sleptAt < 0 || m.wakes.Load() > m.sleptAt }

// role is who takes a step: of those of the reader, and of the writer, one is
// under way at a time.
func (s step) role() string {
	switch {
	case s <= askFull || s == answerAsk:
		return "reader"
	case s <= takeUncalled:
		return "writer"
	}
	return ""
}

var actions = map[step]string{
	receiveEcho: "echo", receiveLarge: "large", receiveGate: "gate", receiveBeside: "beside", receiveStream: "stream",
	receiveGoexit: "goexit", receiveEmpty: "", receiveAsk: "ask",
}

// take one step; steps that make no sense now do nothing.
func (m *model) do(s step) {
	if m.disconnected && s.role() != "" {
		return
	}
	switch s {
	case askFull:
		if m.toldAt >= 0 {
			m.told(m.link.Full)
		}
	case takeOne, takeAll:
		if m.isAwake() {
			m.take(map[step]int{takeOne: 1, takeAll: 1 << 20}[s])
		}
	case takeUncalled:
		m.take(1)
	case openGate:
		select {
		case m.gate <- struct{}{}:
		default:
		}
	case answerAsk:
		if m.toldAt < 0 && m.answered < m.asks.Load() {
			m.answered++
			m.told(func() bool { return !m.link.Receive(fmt.Appendf(nil, `{"re":%d}`, m.answered), false) })
		}
	case callClient:
		go func() { _, _ = m.client.Call(context.Background(), m.c.ch, None{}) }()
	case pushOne:
		_ = m.push.Send(context.Background(), m.c.ch, "x")
	case publishOne:
		_ = m.topic.Publish(context.Background(), "a", "x")
	case publishVolatile, publishLatest, publishRecoverable:
		_ = m.classed[s].Publish(context.Background(), "a", string(make([]byte, 50))) // 300 bytes as JSON
	case passTime:
		time.Sleep(2 * time.Second)
	case closeIt:
		_ = m.c.close(context.Background(), CloseNormal, "")
	case drainIt:
		go func() { m.stopped <- m.srv.Shutdown(context.Background()) }()
		synctest.Wait()
	case disconnectIt:
		m.link.Disconnect(CloseAbnormal, "")
		m.disconnected = true
	default:
		if action := actions[s]; action != "ask" || m.v1 {
			m.receive(action)
		}
	}
}

// asleep says who sleeps though there is something to do. Nothing runs.
func (m *model) asleep() string {
	if m.disconnected {
		return ""
	}
	m.c.mu.Lock()
	full := m.c.isFull()
	m.c.mu.Unlock()
	m.c.out.mu.Lock()
	something := m.c.out.first() != 0 || m.c.out.isBehind() && !m.c.out.holding || m.c.out.closing != nil && m.closing == nil
	m.c.out.mu.Unlock()
	switch {
	case something && !m.isAwake():
		return "there is something to take, but the writer was not woken"
	case m.toldAt >= 0 && m.wakes.Load() == m.toldAt && !full:
		return "there is room, but the reader was not woken"
	}
	return ""
}

// follow lets the transport do what it was woken for, until nothing is left.
func (m *model) follow() {
	for {
		synctest.Wait()
		switch {
		case m.disconnected:
			return
		case m.isAwake():
			m.take(1 << 20)
		case m.toldAt >= 0 && m.wakes.Load() > m.toldAt:
			m.told(m.link.Full)
		case m.toldAt < 0 && m.answered < m.asks.Load():
			m.do(answerAsk)
		default:
			return
		}
	}
}

// play runs a schedule, and returns what went wrong.
func (m *model) play(schedule []moment) (wrong string) {
	drained := false
	defer func() {
		if wrong != "" { // let go of all goroutines
			m.link.Disconnect(CloseAbnormal, "")
			synctest.Wait()
		}
	}()
	for i := 0; i < len(schedule); {
		var together sync.WaitGroup
		roles := make(map[string]bool)
		for first := true; i < len(schedule) && (first || schedule[i].beside); i++ {
			s := schedule[i].step
			if role := s.role(); role != "" && roles[role] {
				break
			} else if s == drainIt && drained || (s == disconnectIt || s == drainIt || s == passTime) && !first {
				break // these are steps of their own
			}
			drained = drained || s == drainIt
			roles[s.role()] = true
			if first && (s == disconnectIt || s == drainIt || s == passTime) {
				m.do(s)
				i++
				break
			}
			first = false
			together.Go(func() { m.do(s) })
		}
		if i < len(schedule) && schedule[i].step == drainIt && drained {
			i++ // once is enough
		}
		together.Wait()
		synctest.Wait()
		if wrong := m.asleep(); wrong != "" {
			return fmt.Sprintf("after %v: %s", schedule[:i], wrong)
		}
	}
	return m.end(drained)
}

// end lets everything that was begun come to its end, and looks at it.
func (m *model) end(drained bool) string {
	close(m.gate) // whoever waits returns
	m.follow()
	switch {
	case m.disconnected:
	case m.toldAt >= 0 && m.closing == nil:
		return "the reader waits for ever"
	case drained && m.closing == nil:
		return "the server shuts down, but the transport was not told"
	case m.closing == nil && m.replies != m.sent:
		return fmt.Sprintf("%d of %d calls were answered", m.replies, m.sent)
	case m.closing == nil && m.v1 && m.stands != m.offset():
		return fmt.Sprintf("the client is told of position %d of the topic, but that stands at %d", m.stands, m.offset())
	}
	m.link.Disconnect(CloseNormal, "")
	synctest.Wait()
	select {
	case <-m.link.Done():
	default:
		return "the connection has no end"
	}
	if drained {
		if err := <-m.stopped; err != nil {
			return "Shutdown: " + err.Error()
		}
	}
	if c, d := m.connects.Load(), m.disconnects.Load(); c != d || c > 1 {
		return fmt.Sprintf("%d times OnConnect, %d times OnDisconnect", c, d)
	}
	return ""
}

// Nobody sleeps for ever, whatever happens in whatever order, and each
// OnConnect has its one OnDisconnect.
func TestP14_NoWakeIsLost(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprintf("kanava.v1 %t, slow OnConnect %t", v1, slow), func(t *testing.T) {
				rapid.Check(t, func(rt *rapid.T) {
					for _, schedule := range rapid.SliceOfN(schedules, 5, 5).Draw(rt, "schedules") {
						wrong := ""
						synctest.Test(t, func(*testing.T) { wrong = newModel(v1, slow).play(schedule) })
						if wrong != "" {
							rt.Fatal(wrong)
						}
					}
				})
			})
		}
	}
}

var schedules = rapid.Custom(func(rt *rapid.T) (list []moment) {
	for _, phrase := range rapid.SliceOfN(rapid.SampledFrom(phrases), 1, 30).Draw(rt, "phrases") {
		for _, s := range phrase {
			list = append(list, moment{s, rapid.IntRange(0, 3).Draw(rt, "beside") == 0})
		}
	}
	return list
})
