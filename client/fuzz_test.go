package client

import (
	"bytes"
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FuzzServer proves that no server makes a client panic, or keep more than it
// should. Each line is a frame; one that begins with "<" is bytes.
func FuzzServer(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Add([]byte("{\"on\":\"a:b\",\"e\":\"x\",\"o\":0,\"p\":9007199254740991}\n{\"at\":\"a:b\",\"e\":\"x\",\"o\":9007199254740991}"))
	f.Add([]byte("{\"session\":{\"expiresIn\":1e300}}\n{\"away\":{\"code\":4503,\"in\":[1e300,-1]}}"))
	f.Add([]byte("{\"re\":0,\"err\":{\"code\":\"x\",\"retryAfter\":1e300}}\n{\"away\":{\"code\":65536}}\n<\x00"))
	f.Add([]byte("{\"call\":\"h\",\"id\":1,\"ms\":-1}\n{\"call\":\"h\",\"id\":1,\"ms\":1e300}\n{\"cancel\":1}\n{\"cancel\":null}"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		server := &scripted{}
		s := settings{
			timeout: time.Minute, queue: 2, webSocket: server.dial, random: func() float64 { return 1 },
			authenticate: func(context.Context) error { return nil },
		}
		c := newConn(Spec{}, s)
		for _, at := range []listenKey{{listenTopic, "room"}, {listenPresence, "room"}, {listenPush, "notice"}, {kind: listenOpened}, {kind: listenBinary}, {kind: listenLost}, {kind: listenError}} {
			c.listen(&Listener{at: at, every: true, tell: func(*happening) error { return nil }})
		}
		Handle(c, "confirm", func(_ context.Context, in jsontext.Value) (jsontext.Value, error) { return in, nil })
		c.start()
		c.mu.Lock()
		r := c.run
		if err := r.open([]byte(`{"id":"c1","max":1000,"calls":2,"ping":1000,"keys":1000}`)); err != nil {
			t.Fatal(err)
		}
		x := &call{c: c, action: "x", text: []byte(`"do":"x"}`), done: make(chan struct{}), items: &items{wake: make(chan struct{}, 1)}}
		c.queue = append(c.queue, x)
		c.mu.Unlock()
		for line := range bytes.SplitSeq(lines, []byte("\n")) {
			rest, binary := bytes.CutPrefix(line, []byte("<"))
			c.mu.Lock()
			if r.ended {
				c.mu.Unlock()
				break
			}
			r.receive(message{bytes.Clone(rest), binary})
			for name, topic := range c.topics {
				if len(topic.held) > maxHeld || len(topic.newest) > maxLatest {
					t.Errorf("topic %q: %d held, %d keys", name, len(topic.held), len(topic.newest))
				}
			}
			for name, p := range c.presences {
				size := 0
				for _, m := range p.members {
					size += memberCost + len(m.id) + len(m.data)
				}
				if len(p.members) > maxMembers || size > maxMemberBytes || len(p.held) > maxChanges {
					t.Errorf("presence %q: %d members, %d bytes, %d held", name, len(p.members), size, len(p.held))
				}
			}
			if len(c.topics) > maxTopics || len(c.presences) > maxPresences || c.held > maxHeldBytes || c.held < 0 || c.asking > maxAsking ||
				len(x.items.list) > maxItems || x.items.bytes > maxItemBytes+len(lines) || r.recovers > maxRecovers || r.running < 0 {
				t.Errorf("%d topics, %d bytes held, %d asked, %d items, %d recovers, %d calls",
					len(c.topics), c.held, c.asking, len(x.items.list), r.recovers, r.running)
			}
			c.mu.Unlock()
		}
		c.Close()
		<-c.Done()
		if len(c.timers) > 0 || c.held != 0 {
			t.Errorf("after Close: timers %v, %d bytes held", c.timers, c.held)
		}
	})
}

// seeds returns the frames of the vectors, a case each.
func seeds(tb testing.TB) (all [][]byte) {
	files, err := vectorFiles()
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var cases []vector
		if err := json.Unmarshal(text, &cases, raw); err != nil {
			tb.Fatal(err)
		}
		for _, v := range cases {
			var frames []byte
			for _, step := range v.Steps {
				if frame := step["frame"]; frame != nil {
					frames = append(append(frames, frame...), '\n')
				}
			}
			if frames != nil {
				all = append(all, frames)
			}
		}
	}
	return all
}

// A server that shows more topics than a client follows gets no memory for
// them; those that it no longer serves make room.
func TestManyTopics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		failed := 0
		c.OnError(func(err error) {
			if code(err) == CodeInvalidFrame {
				failed++
			}
		})
		l := greet(t, server)
		show := func(prefix string) {
			for n := range 2 * maxTopics {
				l.text(`{"sub":"` + prefix + epoch(n) + `","class":"ordered","e":"x","o":1}`)
				synctest.Wait() // until it is read
			}
		}
		show("a:")
		if len(c.topics) != maxTopics || failed != maxTopics {
			t.Errorf("%d topics, %d errors", len(c.topics), failed)
		}
		l.drop(CloseLost)
		time.Sleep(backOff)
		synctest.Wait()
		l = greet(t, server)
		l.text(`{"sub":"b:1","class":"ordered","e":"x","o":1}`)
		synctest.Wait()
		if len(c.topics) != maxTopics || c.topics["b:1"] == nil {
			t.Errorf("%d topics, without the new one", len(c.topics))
		}
	})
}
