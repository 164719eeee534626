package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// presenceWorld is a server that shows who is there, over a network that loses
// and overtakes frames, in the words of rule D12. It shares nothing with the
// client.
type presenceWorld struct {
	server *scripted
	link   *scriptedLink
	draw   func(below int) int

	there  map[string]int // the data of who is there
	listed bool
	v      int
	sent   []string // on their way
	shown  bool     // on this connection
	asks   []presenceRequest

	page    int // members of a page of an answer
	history []map[string]int
	seen    int // the client was told of this one of the history, or a later one

	client     map[string]int // what the client was told, by its list
	count      int
	clientList bool
	fault      string
}

type presenceRequest struct {
	ID       uint64 `json:"id"`
	Presence string `json:"presence"`
	After    string `json:"after"`
}

func (w *presenceWorld) told(p Presence[int]) {
	next := map[string]int{}
	for _, m := range p.Members {
		next[m.ID] = m.Data
	}
	if w.clientList && p.Listed { // what came and went is the difference
		ids := maps.Clone(w.client)
		for _, m := range p.Left {
			if _, was := ids[m.ID]; !was {
				w.fault = "who has left was not there"
			}
			delete(ids, m.ID)
		}
		for _, m := range p.Joined {
			if _, was := ids[m.ID]; was {
				w.fault = "who has joined was there"
			}
			ids[m.ID] = m.Data
		}
		if !slices.Equal(slices.Sorted(maps.Keys(ids)), slices.Sorted(maps.Keys(next))) {
			w.fault = "joined and left are not the difference"
		}
	} else if len(p.Joined)+len(p.Left) > 0 {
		w.fault = "joined or left without a list before"
	}
	if p.Listed && !w.happened(next) {
		w.fault = "told what never was, or not any more"
	}
	if !slices.IsSortedFunc(p.Members, func(a, b Member[int]) int { return strings.Compare(a.ID, b.ID) }) {
		w.fault = "members in another order"
	}
	w.client, w.count, w.clientList = next, p.Count, p.Listed
}

// happened reports whether it was so, and not before what the client was told
// last. Pages of an answer can be of different moments.
func (w *presenceWorld) happened(state map[string]int) bool {
	if w.page < 1000 {
		return true
	}
	for i := w.seen; i < len(w.history); i++ {
		if maps.Equal(w.history[i], state) {
			w.seen = i
			return true
		}
	}
	return false
}

func (w *presenceWorld) member(id string) string {
	return fmt.Sprintf(`{"id":%q,"n":1,"data":%d}`, id, w.there[id])
}

func (w *presenceWorld) all(after string, most int) (list string, next string) {
	var shown []string
	for _, id := range slices.Sorted(maps.Keys(w.there)) {
		if id <= after {
			continue
		}
		if len(shown) == most {
			return strings.Join(shown, ","), next
		}
		shown = append(shown, w.member(id))
		next = id
	}
	return strings.Join(shown, ","), ""
}

// show puts a frame on its way.
func (w *presenceWorld) show(body string) {
	w.v++
	w.history = append(w.history, maps.Clone(w.there))
	w.sent = append(w.sent, fmt.Sprintf(`{"presence":"room:r","v":%d,%s,"count":%d}`, w.v, body, len(w.there)))
}

func (w *presenceWorld) whole() {
	w.shown = true
	if !w.listed {
		w.v++
		w.history = append(w.history, maps.Clone(w.there))
		w.sent = append(w.sent, fmt.Sprintf(`{"presence":"room:r","v":%d,"count":%d}`, w.v, len(w.there)))
		return
	}
	list, _ := w.all("", 1000)
	w.show(`"all":[` + list + `]`)
}

func (w *presenceWorld) change() {
	id := string(rune('a' + w.draw(6)))
	_, was := w.there[id]
	if w.draw(3) == 0 {
		delete(w.there, id)
	} else {
		w.there[id] = w.draw(100)
	}
	switch {
	case !w.shown || !w.listed:
		w.whole()
	case w.draw(8) == 0:
		w.whole()
	default:
		if _, is := w.there[id]; is {
			w.show(`"join":[` + w.member(id) + `],"leave":[]`)
		} else if was {
			w.show(`"join":[],"leave":["` + id + `"]`)
		}
	}
}

// listen reads what the client asks.
func (w *presenceWorld) listen() {
	for m := w.link.next(); m != nil; m = w.link.next() {
		var r presenceRequest
		if json.Unmarshal(m.data, &r) == nil && r.Presence != "" {
			w.asks = append(w.asks, r)
		}
	}
}

func (w *presenceWorld) answer(refuse bool) {
	if len(w.asks) == 0 {
		return
	}
	r := w.asks[0]
	w.asks = w.asks[1:]
	if refuse {
		code := []string{"resource_exhausted", "internal"}[w.draw(2)]
		w.sent = append(w.sent, fmt.Sprintf(`{"re":%d,"err":{"code":%q,"message":"no"}}`, r.ID, code))
		return
	}
	list, next := w.all(r.After, w.page)
	if next != "" {
		next = `,"next":"` + next + `"`
	}
	w.sent = append(w.sent, fmt.Sprintf(`{"re":%d,"out":{"v":%d,"all":[%s],"count":%d%s}}`, r.ID, w.v, list, len(w.there), next))
}

func (w *presenceWorld) deliver(i int) {
	if i < len(w.sent) {
		w.link.text(w.sent[i])
		w.sent = slices.Delete(w.sent, i, i+1)
	}
}

func (w *presenceWorld) connect(t *testing.T) {
	if w.link = w.server.next(); w.link == nil {
		t.Fatal("the client has not connected")
	}
	w.link.accept()
	synctest.Wait()
	w.link.text(`{"open":{"id":"c1","max":65536,"calls":32,"ping":0}}`)
	synctest.Wait()
	w.sent, w.asks, w.v, w.shown = nil, nil, 0, false
	w.whole()
}

// Whatever is lost or overtaken, in the end the client knows who is there, and
// what it tells of coming and going adds up.
func TestD12_PresenceConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 20, 300).Draw(rt, "steps")
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			next := 0
			w := &presenceWorld{there: map[string]int{}, listed: true, client: map[string]int{}}
			w.draw = func(below int) int {
				next++
				return steps[next%len(steps)] * 7919 % 101 % below
			}
			w.page = []int{2, 1000}[w.draw(2)]
			c, server := start(t, func(s *settings) { s.random = func() float64 { return 0.5 } })
			w.server = server
			OnPresence(c, "room", "r", w.told)
			w.connect(t)
			for _, n := range steps {
				switch {
				case n < 40:
					w.change()
				case n < 70:
					w.deliver(0)
				case n < 75:
					w.deliver(w.draw(3)) // overtakes others
				case n < 80:
					w.sent = slices.DeleteFunc(w.sent, func(text string) bool { return !strings.HasPrefix(text, `{"re"`) && w.draw(2) == 0 }) // are lost
				case n < 90:
					w.answer(w.draw(4) == 0)
				case n < 93:
					time.Sleep(time.Second)
				case n < 95:
					w.listed = !w.listed
					w.whole()
				case n == 95:
					w.link.drop(CloseLost)
					synctest.Wait()
					time.Sleep(time.Until(c.State().Next))
					synctest.Wait()
					w.connect(t)
				case n == 96:
					w.history = append(w.history, map[string]int{}) // nobody is told of
					w.link.text(`{"unsub":"room:r","reason":"unsubscribed"}`)
					synctest.Wait()
					if len(w.client) > 0 || w.count > 0 || !w.clientList && w.count != 0 {
						w.fault = "somebody is there after unsub"
					}
					w.clientList = false // begins anew
					w.v, w.shown = 0, false
					w.sent = slices.DeleteFunc(w.sent, func(text string) bool { return !strings.HasPrefix(text, `{"re"`) })
					w.whole()
				}
				synctest.Wait()
				w.listen()
			}
			for range 100 { // all that is on its way, and what follows from it
				w.deliver(0)
				synctest.Wait()
				w.listen()
				w.answer(false)
				synctest.Wait()
				time.Sleep(time.Second)
				w.listen()
			}
			w.there["z"] = 1 // who has missed something finds out
			if w.listed && w.shown {
				w.show(`"join":[` + w.member("z") + `]`)
			} else {
				w.whole()
			}
			for range 20 {
				w.deliver(0)
				synctest.Wait()
				w.listen()
				w.answer(false)
				synctest.Wait()
				time.Sleep(time.Second)
				w.listen()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			w.listen()
			fault = w.fault
			switch {
			case len(w.asks)+len(w.sent) > 0:
				fault = "the client still asks"
			case fault != "":
			case w.count != len(w.there):
				fault = fmt.Sprintf("the count is %d, not %d", w.count, len(w.there))
			case w.listed && (!w.clientList || !maps.Equal(w.client, w.there)):
				fault = fmt.Sprintf("the client knows %v, and there are %v", w.client, w.there)
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// noted is what a listener was told.
type noted[M any] struct{ all []Presence[M] }

func (n *noted[M]) told(p Presence[M]) { n.all = append(n.all, p) }

// Who begins to listen later is told at once, alone, what is known, and then
// what changes, as all are.
func TestOnPresenceLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		l.text(`{"presence":"room:r","v":1,"all":[{"id":"ann","n":1,"data":1}],"count":1}`)
		l.text(`{"presence":"room:q","v":1,"all":[],"count":0}`)
		synctest.Wait()
		var one, every noted[int]
		OnPresence(c, "room", "r", one.told)
		synctest.Wait()
		OnPresences(c, "room", every.told)
		synctest.Wait()
		if len(one.all) != 1 || one.all[0].Count != 1 || !one.all[0].Listed || len(one.all[0].Joined) > 0 || one.all[0].Members[0] != (Member[int]{"ann", 1, 1}) {
			t.Fatalf("%+v", one.all)
		}
		if len(every.all) != 2 || every.all[0].Topic.Name == every.all[1].Topic.Name {
			t.Fatalf("%+v", every.all)
		}
		l.text(`{"presence":"room:r","v":2,"leave":["ann"],"count":0}`)
		synctest.Wait()
		for _, n := range []*noted[int]{&one, &every} {
			if last := n.all[len(n.all)-1]; last.Count != 0 || len(last.Left) != 1 || last.Left[0].Data != 1 {
				t.Errorf("%+v", last)
			}
		}
		if len(one.all) != 2 {
			t.Errorf("%+v", one.all)
		}
	})
}

// What comes while a function runs is told as one, and a listener that is
// stopped is told no more.
func TestOnPresenceMerges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		var got noted[int]
		release := make(chan struct{})
		listener := OnPresence(c, "room", "r", func(p Presence[int]) {
			got.told(p)
			<-release
		})
		l := greet(t, server)
		l.text(`{"presence":"room:r","v":1,"all":[{"id":"ann","n":1,"data":1}],"count":1}`)
		synctest.Wait()
		for v := 2; v < 500; v++ {
			join, leave := "bob", "cid"
			if v%2 == 0 {
				join, leave = leave, join
			}
			l.text(fmt.Sprintf(`{"presence":"room:r","v":%d,"join":[{"id":%q,"n":1,"data":%d}],"leave":[%q],"count":2}`, v, join, v, leave))
		}
		synctest.Wait()
		release <- struct{}{}
		synctest.Wait()
		if len(got.all) != 2 || len(got.all[1].Joined) != 1 || len(got.all[1].Left) != 0 || got.all[1].Joined[0] != (Member[int]{"bob", 1, 499}) {
			t.Errorf("%+v", got.all)
		}
		close(release)
		listener.Stop()
		l.text(`{"presence":"room:r","v":500,"leave":["ann"],"count":1}`)
		synctest.Wait()
		if len(got.all) != 2 {
			t.Errorf("%+v", got.all)
		}
	})
}

// A hostile server gets no more memory than rule D12 has, and the client goes on.
func TestPresenceHostile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		var got noted[jsontext.Value]
		failed := 0
		OnPresences(c, "room", got.told)
		c.OnError(func(err error) {
			if code(err) == CodeInvalidFrame {
				failed++
			}
		})
		l := greet(t, server)
		last := func() Presence[jsontext.Value] { return got.all[len(got.all)-1] }
		long := strings.Repeat("x", 60_000)
		l.text(`{"presence":"room:r","v":1,"all":[],"count":0}`)
		for v := 2; v <= 6; v++ { // 300,000 bytes
			l.text(fmt.Sprintf(`{"presence":"room:r","v":%d,"join":[{"id":"m%d","n":1,"data":%q}],"count":%d}`, v, v, long, v-1))
		}
		synctest.Wait()
		if p := last(); p.Listed || p.Count != 5 || len(c.presences["room:r"].members) > 0 {
			t.Errorf("%d members of %d are kept", len(p.Members), p.Count)
		}
		for n := range 2 * maxPresences {
			l.text(fmt.Sprintf(`{"presence":"room:%d","v":1,"count":7}`, n))
		}
		for n := range 2 * maxChanges { // nothing that these follow ever comes
			l.text(fmt.Sprintf(`{"presence":"room:1","v":%d,"join":[],"count":7}`, 3+n))
		}
		synctest.Wait()
		for _, text := range []string{
			`{"presence":7,"v":1,"count":1}`, `{"presence":"room:r","count":1}`, `{"presence":"room:r","v":-1,"count":1}`,
			`{"presence":"room:r","v":9,"all":7,"count":1}`, `{"presence":"room:r","v":9,"count":"many"}`,
		} {
			failed = 0
			l.text(text)
			synctest.Wait()
			if failed != 1 {
				t.Errorf("%s: %d errors", text, failed)
			}
		}
		if n := len(c.presences); n != maxPresences {
			t.Errorf("%d presences", n)
		}
		if n := len(c.presences["room:1"].held); n > maxChanges {
			t.Errorf("%d changes are held", n)
		}
		l.drop(CloseLost)
		time.Sleep(backOff)
		synctest.Wait()
		l = greet(t, server)
		l.text(`{"presence":"room:new","v":1,"count":3}`)
		synctest.Wait()
		if p := last(); p.Topic.Name != "room:new" || len(c.presences) > maxPresences {
			t.Errorf("%+v, %d presences", p.Topic, len(c.presences))
		}
	})
}

// Data of another type is an error, and told to nobody.
func TestPresenceOfAnotherType(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		var got noted[int]
		OnPresence(c, "room", "r", got.told)
		var failed []Code
		c.OnError(func(err error) { failed = append(failed, code(err)) })
		l := greet(t, server)
		l.text(`{"presence":"room:r","v":1,"all":[{"id":"ann","n":1,"data":"text"}],"count":1}`)
		synctest.Wait()
		if len(got.all) > 0 || !slices.Equal(failed, []Code{CodeInvalidFrame}) {
			t.Errorf("%+v %v", got.all, failed)
		}
		done := make(chan error, 1)
		go func() {
			for _, err := range Members[int](context.Background(), c, "room:r") {
				done <- err
			}
		}()
		synctest.Wait()
		for m := l.next(); m != nil; m = l.next() {
			l.text(`{"re":1,"out":{"v":1,"all":[{"id":"ann","n":1,"data":"text"}],"count":1}}`)
		}
		if err := <-done; code(err) != CodeInvalidFrame {
			t.Error(err)
		}
	})
}

// Leaving the loop asks for nothing more, and ranging again begins anew.
func TestMembersLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		members := Members[int](context.Background(), c, "room:r")
		for want := 1; want <= 2; want++ {
			done := make(chan string, 1)
			go func() {
				for m, err := range members {
					if err == nil {
						done <- m.ID
						break
					}
					done <- err.Error()
				}
			}()
			synctest.Wait()
			if m := l.next(); m == nil || string(m.data) != fmt.Sprintf(`{"id":%d,"presence":"room:r"}`, want) {
				t.Fatalf("sent %v", m)
			}
			l.text(fmt.Sprintf(`{"re":%d,"out":{"v":1,"all":[{"id":"ann","n":1}],"count":2,"next":"ann"}}`, want))
			if got := <-done; got != "ann" {
				t.Error(got)
			}
			synctest.Wait()
			if m := l.next(); m != nil {
				t.Errorf("sent %s", m.data)
			}
		}
	})
}
