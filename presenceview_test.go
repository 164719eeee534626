package kanava

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// toldOf is what one who is told of a presence knows, however seldom that is.
type toldOf struct {
	version uint64
	listed  bool
	count   int
	members map[string]string
}

// listen takes what a view has to tell.
func (k *toldOf) listen(t *rapid.T, v *presenceView) {
	body := v.whole()
	if k.members != nil && v.knows(k.version) {
		body = v.change(k.version)
	}
	k.version = v.version
	if body == nil {
		return
	}
	var f struct {
		All, Join []struct {
			ID   string         `json:"id"`
			N    int            `json:"n"`
			Data jsontext.Value `json:"data"`
		}
		Leave []string
		Count int
	}
	if err := json.Unmarshal([]byte("{"+string(body)+"}"), &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	k.count = f.Count
	switch {
	case f.All != nil:
		k.listed, k.members = true, map[string]string{}
		f.Join = f.All
	case f.Join == nil:
		k.listed, k.members = false, map[string]string{}
	case !k.listed:
		t.Fatal("a difference to what was not told")
	case len(f.Join)+len(f.Leave) == 0:
		t.Fatal("a difference that is none")
	}
	for _, id := range f.Leave {
		if _, known := k.members[id]; !known {
			t.Fatalf("%s leaves, and was not there", id)
		}
		delete(k.members, id)
	}
	for _, m := range f.Join {
		for _, left := range f.Leave {
			if left == m.ID {
				t.Fatalf("%s joins and leaves at once", m.ID)
			}
		}
		k.members[m.ID] = fmt.Sprint(m.N, string(m.Data))
	}
}

// Whoever listens, now and then or always, knows who is there; only the number
// is told above 200 members, or above 256 KiB of them, and until there are 150
// again, or 192 KiB.
func TestD12_Views(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewEventHub(HubOptions{})
		defer h.Close()
		p := NewPresence[string](h, "room")
		g := newGathering(p.of, "room:x")
		listeners := []*toldOf{{}, {}, {}}
		pace := rapid.SliceOfN(rapid.IntRange(1, 12), 3, 3).Draw(t, "pace")
		listed := true
		long := rapid.Bool().Draw(t, "long data")
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			most := rapid.SampledFrom([]int{5, 160, 260}).Draw(t, "of")
			leave := rapid.IntRange(0, 9).Draw(t, "leaving tenths")
			for range rapid.SampledFrom([]int{0, 1, 2, 30, 300}).Draw(t, "changes") {
				l := lease{entryOf: entryOf{"room:x", fmt.Sprintf("m%03d", rapid.IntRange(0, most).Draw(t, "member"))}, owner: "o"}
				l.n = rapid.IntRange(1, 2).Draw(t, "n")
				text := "a"
				if long {
					text = strings.Repeat("a", rapid.SampledFrom([]int{1, 1000, 5000}).Draw(t, "bytes"))
				}
				l.data = []byte(`"` + text + `"`)
				g.take(l, rapid.IntRange(0, 9).Draw(t, "leaves") < leave)
			}
			g.look()
			bytes := 0
			for _, a := range g.order {
				bytes += memberCost + len(a.id) + len(a.data)
			}
			if bytes != g.bytes || len(g.order) != len(g.members) {
				t.Fatalf("%d bytes of %d members, counted %d of %d", bytes, len(g.order), g.bytes, len(g.members))
			}
			if listed {
				listed = len(g.order) <= 200 && bytes <= 256<<10
			} else {
				listed = len(g.order) <= 150 && bytes <= 192<<10
			}
			for i, k := range listeners {
				if step%pace[i] != 0 {
					continue
				}
				k.listen(t, g.view.Load())
				if k.listed != listed || k.count != len(g.order) {
					t.Fatalf("listed %v, count %d, want %v, %d", k.listed, k.count, listed, len(g.order))
				}
				if k.listed {
					for id, a := range g.members {
						if want := fmt.Sprint(a.n, string(a.data)); k.members[id] != want {
							t.Fatalf("%s is told as %q, want %q", id, k.members[id], want)
						}
					}
					if len(k.members) != len(g.members) {
						t.Fatalf("%d members are told, there are %d", len(k.members), len(g.members))
					}
				}
			}
		}
	})
}

// Who is further behind than those who have left are remembered is told
// everything.
func TestD12_WhoHasLeftIsRememberedForAWhile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewEventHub(HubOptions{})
		defer h.Close()
		g := newGathering(NewPresence[string](h, "room").of, "room:x")
		k := &toldOf{}
		for group := range 4 {
			for _, gone := range []bool{false, true} {
				for i := range rapid.IntRange(90, 110).Draw(t, "members") {
					g.take(lease{entryOf: entryOf{"room:x", fmt.Sprint(group, "-", i)}, owner: "o", n: 1, data: []byte(`""`)}, gone)
				}
				g.look()
				if rapid.IntRange(0, 3).Draw(t, "listen") == 0 {
					k.listen(t, g.view.Load())
				}
			}
		}
		v := g.view.Load()
		k.listen(t, v)
		if len(k.members) != len(g.members) || len(v.left) > leftMost {
			t.Fatalf("%d members are told, there are %d; %d are remembered", len(k.members), len(g.members), len(v.left))
		}
	})
}
