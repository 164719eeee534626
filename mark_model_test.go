package kanava_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// TestP19_MarkModel lets a client of the plain form come and go at any time. It
// keeps nothing but the last mark, and yet sees each event of its Recoverable
// topics once, in order, or is told between which positions they are lost; the
// mark itself never says anything else than what the client has seen.
func TestP19_MarkModel(t *testing.T) {
	for name, test := range map[string]struct {
		size   int
		limits kanava.Limits
	}{
		"everything is kept":   {1000, kanava.Limits{}},
		"a little is kept":     {4, kanava.Limits{}},
		"a little fits":        {1000, kanava.Limits{Queue: 4000}},
		"middleware drops 7th": {1000, kanava.Limits{Depth: 63}},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { runMarkModel(t, rt, test.size, test.limits) })
		})
	}
}

type opened struct {
	Topics []string `json:"topics" query:"topic"`
}

type number struct {
	N int `json:"n"`
}

type markChannel = kanava.Channel[opened, account]

// published is what the oracle knows of an event.
type published struct {
	n      int
	except string
}

// markModel is one client, and what it should see.
type markModel struct {
	t    *testing.T
	rt   *rapid.T
	srv  *server
	rows *kanava.Topic[number]
	log  map[string][]published // by topic: the event with the offset i+1
	n    int
	drop bool // middleware drops each 7th event

	c    *kanavatest.Client // nil while it is away
	ids  []string           // of its connection, and those that its mark names
	mark string

	subscribed map[string]bool // by key
}

func runMarkModel(t *testing.T, rt *rapid.T, size int, limits kanava.Limits) {
	m := &markModel{t: t, rt: rt, log: make(map[string][]published), drop: limits.Depth == 63}
	m.srv = kanava.NewServer(kanava.Options[account]{Logger: slog.New(slog.DiscardHandler), Limits: kanava.Limits{Rate: kanava.Unlimited}})
	m.rows = kanava.NewTopic[number](m.srv.EventHub(), "row", kanava.Recoverable(size, time.Hour))
	w := kanava.Wiring[opened, account]{
		Name: "rows", Route: "/rows", Public: true, Limits: limits,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *markChannel) (kanava.None, error) {
			for _, key := range ch.Opening().Topics {
				if err := m.rows.Subscribe(ctx, ch, key); err != nil {
					return kanava.None{}, err
				}
			}
			return kanava.None{}, nil
		}),
		Messages: kanava.By("action",
			kanava.OnDo("ping", func(context.Context, *markChannel, kanava.None) error { return nil }),
			kanava.OnDo("join", func(ctx context.Context, ch *markChannel, in text) error {
				return m.rows.Subscribe(ctx, ch, in.Message)
			}),
			kanava.OnDo("part", func(ctx context.Context, ch *markChannel, in text) error {
				return m.rows.Unsubscribe(ctx, ch, in.Message)
			}),
		),
		Declares: []kanava.Declared{m.rows},
	}
	if m.drop {
		w.Outgoing = []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if v, ok := p.Value.(number); ok && v.N%7 == 0 {
					return nil
				}
				return next(ctx, p)
			}
		}}
	}
	m.srv.Wire(w)
	topics := []string{"a", "b", "c & d=e.1"}
	pick := func() string { return rapid.SampledFrom(topics).Draw(rt, "topic") }
	rt.Repeat(map[string]func(*rapid.T){
		"publish": func(*rapid.T) {
			for i := range rapid.IntRange(1, 40).Draw(rt, "events") {
				if m.c != nil && i%10 == 9 { // it is not slow: what a full queue does is shown elsewhere
					m.sync()
				}
				m.publish(pick(), m.c != nil && rapid.IntRange(0, 4).Draw(rt, "except") == 0)
			}
		},
		"come": func(*rapid.T) {
			if m.c == nil {
				m.connect(topics[:rapid.IntRange(0, len(topics)).Draw(rt, "topics")])
			}
		},
		"read": func(*rapid.T) {
			if m.c != nil {
				m.sync()
			}
		},
		"go": func(*rapid.T) {
			if m.c == nil {
				return
			}
			for range rapid.IntRange(0, 5).Draw(rt, "frames") { // the rest is lost on the way
				m.c.SendText(`{"action":"ping"}`)
				if m.readOne() {
					break
				}
			}
			m.leave()
		},
		"join": func(*rapid.T) {
			if m.c != nil {
				key := pick()
				m.c.Send(map[string]string{"action": "join", "message": key})
				m.sync()
				m.subscribed[key] = true
				m.sync()
			}
		},
		"part": func(*rapid.T) {
			if m.c != nil {
				key := pick()
				m.c.Send(map[string]string{"action": "part", "message": key})
				delete(m.subscribed, key)
				m.sync()
			}
		},
	})
	if m.c != nil {
		m.leave()
	}
	if err := m.srv.Shutdown(context.Background()); err != nil {
		rt.Fatal(err)
	}
}

func (m *markModel) connect(topics []string) {
	req := &kanava.OpenRequest{URL: &url.URL{Path: "/rows", RawQuery: url.Values{"topic": topics}.Encode()}, Marks: true, LastID: m.mark}
	c, err := kanavatest.DialRequest(m.t, m.srv, req)
	if err != nil {
		m.rt.Fatal(err)
	}
	was, _, _ := strings.Cut(m.mark, "&")
	m.subscribed = make(map[string]bool)
	for _, topic := range topics {
		m.subscribed[topic] = true
	}
	m.c, m.ids = c, append([]string{c.ID()}, strings.FieldsFunc(was, func(r rune) bool { return r == '.' })...)
	m.sync()
}

func (m *markModel) leave() {
	m.c.Leave()
	<-m.c.Done()
	m.c = nil
}

func (m *markModel) publish(topic string, except bool) {
	m.n++
	p := published{n: m.n}
	var opts []kanava.PublishOption
	if except {
		p.except = m.c.ID()
		opts = append(opts, kanava.Except(p.except))
	}
	m.log["row:"+topic] = append(m.log["row:"+topic], p)
	if err := m.rows.Publish(context.Background(), topic, number{m.n}, opts...); err != nil {
		m.rt.Fatal(err)
	}
}

// stands reads the mark: the offset of each topic.
func (m *markModel) stands() map[string]int {
	at := make(map[string]int)
	for i, item := range strings.Split(m.mark, "&") {
		name, position, _ := strings.Cut(item, "=")
		if i == 0 || m.mark == "" {
			continue
		}
		topic, err := url.QueryUnescape(name)
		o, err2 := strconv.Atoi(position[strings.LastIndexByte(position, '.')+1:])
		if err != nil || err2 != nil {
			m.rt.Fatalf("the mark %q", m.mark)
		}
		at[topic] = o
	}
	return at
}

// sync reads until nothing more is on its way: the client stands where its
// topics do.
func (m *markModel) sync() {
	m.c.SendText(`{"action":"ping"}`)
	for !m.readOne() {
	}
	at := m.stands()
	for topic := range m.subscribed {
		if o := at["row:"+topic]; o != len(m.log["row:"+topic]) {
			m.rt.Fatalf("the client stands at %d of %d events of %q", o, len(m.log["row:"+topic]), topic)
		}
	}
}

// readOne reads a frame, and reports whether it is the answer to a ping.
func (m *markModel) readOne() bool {
	f, ok := m.c.NextFrame()
	if !ok {
		m.rt.Fatal("the connection has ended")
	}
	if f.Mark == nil {
		if strings.Contains(string(f.Data), `"topic"`) {
			m.rt.Fatalf("an event without a mark: %s", f.Data)
		}
		return string(f.Data) == `{"action":"ping"}`
	}
	before := m.stands()
	m.mark = f.Mark.ID
	after := m.stands()
	moved := ""
	for topic, o := range after {
		if at, known := before[topic]; known && at != o {
			if moved != "" || o < at {
				m.rt.Fatalf("from %v to %v", before, after)
			}
			moved = topic
		}
	}
	var in struct {
		Topic string
		Data  number
		From  struct{ O int }
		To    struct{ O int }
	}
	if f.Data != nil {
		if err := json.Unmarshal(f.Data, &in); err != nil {
			m.rt.Fatal(err)
		}
	}
	switch {
	case f.Mark.Lost:
		if in.Topic != moved || in.From.O != before[moved] || in.To.O != after[moved] {
			m.rt.Fatalf("from %v to %v: %s", before, after, f.Data)
		}
	case f.Data != nil:
		if in.Topic != moved || m.log[moved][after[moved]-1].n != in.Data.N || slices.Contains(m.ids, m.log[moved][after[moved]-1].except) {
			m.rt.Fatalf("from %v to %v: %s", before, after, f.Data)
		}
		m.hidden(moved, before[moved], after[moved]-1)
	case moved != "":
		m.hidden(moved, before[moved], after[moved])
	}
	return false
}

// hidden demands that the client is not to see the events between two positions.
func (m *markModel) hidden(topic string, from, to int) {
	for o := from + 1; o <= to; o++ {
		p := m.log[topic][o-1]
		own := p.except != "" && slices.Contains(m.ids, p.except)
		if !own && !(m.drop && p.n%7 == 0) {
			m.rt.Fatalf("event %d of %s (%v) was passed over", o, topic, p)
		}
	}
}

// What does not fit into half of the queue, with what is there already, is lost:
// the connection lives on.
func TestP19_WhatDoesNotFitIsLost(t *testing.T) {
	for _, tt := range []struct {
		proves string
		events int // of each of two topics, while the client is away
		want   []bool
	}{
		{"both fit", 10, []bool{false, false}},
		{"the second does not fit any more", 20, []bool{false, true}},
		{"neither fits", 60, []bool{true, true}},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			srv := kanava.NewServer(kanava.Options[account]{Logger: slog.New(slog.DiscardHandler)})
			rows := kanava.NewTopic[number](srv.EventHub(), "row", kanava.Recoverable(1000, time.Hour))
			srv.Wire(kanava.Wiring[noOpen, account]{
				Name: "rows", Route: "/rows", Public: true, Limits: kanava.Limits{Queue: 4000},
				OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (kanava.None, error) {
					return kanava.None{}, errors.Join(rows.Subscribe(ctx, ch, "a"), rows.Subscribe(ctx, ch, "b"))
				}),
				Messages: kanava.By("action", kanava.OnDo("ping", func(context.Context, *line, kanava.None) error { return nil })),
				Declares: []kanava.Declared{rows},
			})
			mark := ""
			come := func() (events, lost map[string]int) {
				events, lost = make(map[string]int), make(map[string]int)
				c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{URL: &url.URL{Path: "/rows"}, Marks: true, LastID: mark})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Leave()
				c.SendText(`{"action":"ping"}`)
				for {
					f, ok := c.NextFrame()
					if !ok {
						t.Fatal("the connection has ended")
					}
					if f.Mark == nil {
						return events, lost
					}
					mark = f.Mark.ID
					var in struct{ Topic string }
					if f.Data != nil && json.Unmarshal(f.Data, &in) != nil {
						t.Fatalf("got %s", f.Data)
					}
					if f.Mark.Lost {
						lost[in.Topic]++
					} else {
						events[in.Topic]++
					}
				}
			}
			come()
			for i := range tt.events {
				for _, key := range []string{"a", "b"} {
					if err := rows.Publish(t.Context(), key, number{i}); err != nil {
						t.Fatal(err)
					}
				}
			}
			events, lost := come()
			for i, topic := range []string{"row:a", "row:b"} {
				want := tt.events
				if tt.want[i] {
					want = 0
				}
				if events[topic] != want || lost[topic] > 0 != tt.want[i] {
					t.Errorf("%s: %d events, %d lost", topic, events[topic], lost[topic])
				}
			}
			if events, lost = come(); len(lost) > 0 || events["row:a"]+events["row:b"] > 0 {
				t.Errorf("again: %v and %v", events, lost)
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is recovered goes the way of live events: a View and outgoing middleware
// say what the client sees, and its mark passes over the rest.
func TestP19_RecoveredEventsAreSeenAsLiveOnes(t *testing.T) {
	srv := kanava.NewServer(kanava.Options[account]{Logger: slog.New(slog.DiscardHandler)})
	rows := kanava.NewTopic[number](srv.EventHub(), "row", kanava.Recoverable(100, time.Hour),
		kanava.View(func(account) string { return "guest" }, func(e number, _ string) (number, bool) {
			return number{e.N * 10}, e.N%2 == 1
		}))
	srv.Wire(kanava.Wiring[noOpen, account]{
		Name: "rows", Route: "/rows", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (kanava.None, error) {
			return kanava.None{}, rows.Subscribe(ctx, ch, "a")
		}),
		Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if v, ok := p.Value.(number); ok && v.N == 30 {
					return nil
				}
				return next(ctx, p)
			}
		}},
		Messages: kanava.By("action", kanava.OnDo("ping", func(context.Context, *line, kanava.None) error { return nil })),
		Declares: []kanava.Declared{rows},
	})
	mark := ""
	come := func(live func()) (seen []string) {
		c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{URL: &url.URL{Path: "/rows"}, Marks: true, LastID: mark})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Leave()
		for range 2 {
			c.SendText(`{"action":"ping"}`)
			for f, ok := c.NextFrame(); f.Mark != nil && ok; f, ok = c.NextFrame() {
				if mark = f.Mark.ID; f.Data != nil {
					seen = append(seen, string(f.Data))
				}
			}
			live()
			live = func() {}
		}
		return seen
	}
	publish := func(numbers ...int) {
		for _, n := range numbers {
			if err := rows.Publish(t.Context(), "a", number{n}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{`{"topic":"row:a","data":{"n":10}}`, `{"topic":"row:a","data":{"n":50}}`}
	if live := come(func() { publish(1, 2, 3, 4, 5, 6) }); !slices.Equal(live, want) {
		t.Errorf("live: %q", live)
	}
	publish(1, 2, 3, 4, 5, 6)
	if recovered := come(func() {}); !slices.Equal(recovered, want) {
		t.Errorf("recovered: %q", recovered)
	}
	if !strings.HasSuffix(mark, ".12") {
		t.Errorf("the mark is %q", mark)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
