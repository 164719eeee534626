package kanava_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
)

// visitor is one connection, as the truth has it.
type visitor struct {
	c    *kanavatest.Client
	node int
	user string
	in   bool // it is present
}

// Whatever happens to nodes and their engines, in the end all nodes that live say
// the same of who is there, which is the truth; and nothing is kept that nobody
// needs.
func TestD12_NodesAgreeInTheEnd(t *testing.T) {
	type step struct {
		Do   string
		Who  int
		User string
		Wait time.Duration
	}
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom([]string{"come", "come", "come", "join", "leave", "close", "watch", "unwatch", "lose", "cut", "hang", "deaf", "mend", "die", "wait", "wait"}).Draw(t, "do"),
			rapid.IntRange(0, 20).Draw(t, "who"), rapid.SampledFrom([]string{"ann", "bob", "cat"}).Draw(t, "user"),
			time.Duration(rapid.SampledFrom([]int{10, 200, 1000, 4900, 5100, 21_000, 62_000}).Draw(t, "wait")) * time.Millisecond,
		}
	}), 5, 60)
	rapid.Check(t, func(rt *rapid.T) {
		plan := steps.Draw(rt, "steps")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			ground := memory.New()
			nodes := []*presentNode{newPresentNode(t, ground), newPresentNode(t, ground), newPresentNode(t, ground)}
			dead, broken := make([]bool, len(nodes)), make([]bool, len(nodes))
			var here []*visitor
			var watchers []*kanavatest.Client
			one := func(who int) *visitor {
				living := slices.DeleteFunc(slices.Clone(here), func(v *visitor) bool { return dead[v.node] })
				if len(living) == 0 {
					return nil
				}
				return living[who%len(living)]
			}
			for i, s := range plan {
				n := s.Who % len(nodes)
				switch v := one(s.Who); {
				case s.Do == "wait":
					time.Sleep(s.Wait)
				case s.Do == "come" && !dead[n]:
					here = append(here, &visitor{nodes[n].arrive(t, s.User, fmt.Sprint(i)), n, s.User, true})
				case s.Do == "watch" && !dead[n] && !broken[n]:
					watchers = append(watchers, nodes[n].watch(t))
				case s.Do == "unwatch" && len(watchers) > 0:
					watchers[0].Leave()
					watchers = watchers[1:]
				case s.Do == "lose":
					nodes[n].engine.Lose("\x01presence:room:x", 1+s.Who%3)
				case s.Do == "cut":
					nodes[n].engine.Cut()
					broken[n] = true
				case s.Do == "hang":
					nodes[n].engine.Hang()
					broken[n] = true
				case s.Do == "deaf":
					nodes[n].engine.Deafen()
				case s.Do == "mend" && !dead[n]:
					nodes[n].engine.Heal()
					nodes[n].engine.Undeafen()
					broken[n] = false
				case s.Do == "die" && n > 0:
					nodes[n].engine.Cut() // for ever
					dead[n] = true
				case v == nil:
				case s.Do == "join":
					v.c.SendText(fmt.Sprintf(`{"do":"join","in":{"message":"%d"},"id":%d}`, i, i+10))
					v.c.Expect(fmt.Sprintf(`{"re":%d}`, i+10))
					v.in = true
				case s.Do == "leave":
					v.c.SendText(fmt.Sprintf(`{"do":"leave","id":%d}`, i+10))
					v.c.Expect(fmt.Sprintf(`{"re":%d}`, i+10))
					v.in = false
				case s.Do == "close":
					v.c.Leave()
					here = slices.DeleteFunc(here, func(x *visitor) bool { return x == v })
				}
			}
			for i, n := range nodes {
				if !dead[i] {
					n.engine.Heal()
					n.engine.Undeafen()
				}
			}
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			truth := map[string]int{}
			for _, v := range here {
				if v.in && !dead[v.node] {
					truth[v.user]++
				}
			}
			want := ""
			for _, user := range slices.Sorted(maps.Keys(truth)) {
				want += fmt.Sprintf("%s×%d ", user, truth[user])
			}
			for i, n := range nodes {
				if dead[i] {
					continue
				}
				got := ""
				for m, err := range n.there.Members(t.Context(), "x") {
					if err != nil {
						wrong = err.Error()
					}
					got += fmt.Sprintf("%s×%d ", m.ID, m.Conns)
				}
				if got != want && wrong == "" {
					wrong = fmt.Sprintf("node %d knows of %q, and there are %q", i, strings.TrimSpace(got), strings.TrimSpace(want))
				}
			}
			for _, v := range here {
				v.c.Leave()
			}
			for _, w := range watchers {
				w.Leave()
			}
			time.Sleep(3 * time.Minute)
			for i, n := range nodes {
				if left := kanava.Gatherings(n.there); left > 0 && !dead[i] && wrong == "" {
					wrong = fmt.Sprintf("node %d keeps %d topics of which nobody needs to know", i, left)
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}
