package kanava

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// keptModel is what should be kept, the oldest first, and what that sums up to,
// under "" for all users.
type keptModel struct {
	list         []keptOne
	count, bytes map[string]int
}

type keptOne struct {
	of    keyed
	size  int
	until time.Time
}

func (m *keptModel) add(x keptOne) {
	m.list = append(m.list, x)
	m.change(x, 1)
}

func (m *keptModel) change(x keptOne, by int) {
	for _, user := range []string{"", x.of.user} {
		m.count[user] += by
		m.bytes[user] += by * x.size
	}
}

// drop drops the oldest of a user, or of all.
func (m *keptModel) drop(user string) {
	i := slices.IndexFunc(m.list, func(x keptOne) bool { return user == "" || x.of.user == user })
	m.change(m.list[i], -1)
	m.list = slices.Delete(m.list, i, i+1)
}

// keptStep is a call that ends.
type keptStep struct {
	user          string
	size, minutes int
}

// The kept outcomes are those that a list has from which the oldest are taken
// until it is within all bounds.
func TestP18_KeptOutcomesAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) keptStep {
			return keptStep{
				user: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "user"),
				size: rapid.IntRange(0, 60).Draw(rt, "size"), minutes: rapid.IntRange(0, 20).Draw(rt, "minutes") / 19,
			}
		}), 1, 100).Draw(rt, "steps")
		ofUser, ofAll := room{rapid.IntRange(1, 9).Draw(rt, "of user"), 150}, room{rapid.IntRange(1, 20).Draw(rt, "of all"), 400}
		synctest.Test(t, func(*testing.T) {
			o := newOutcomes(ofUser, ofAll)
			m := keptModel{count: make(map[string]int), bytes: make(map[string]int)}
			for i, step := range steps {
				time.Sleep(time.Duration(step.minutes) * time.Minute)
				of := keyed{user: step.user, key: fmt.Sprint(i)}
				x, first, err := o.claim(of, nil)
				if err != nil || !first {
					rt.Fatal(first, err)
				}
				for len(m.list) > 0 && !time.Now().Before(m.list[0].until) {
					m.drop("")
				}
				if m.count[of.user] >= ofUser.count {
					m.drop(of.user)
				}
				if m.count[""] >= ofAll.count {
					m.drop("")
				}
				o.settle(x, nil, nil, step.size, true)
				m.add(keptOne{of, step.size + len(of.user) + len(of.key), time.Now().Add(5 * time.Minute)})
				for m.bytes[of.user] > ofUser.bytes {
					m.drop(of.user)
				}
				for m.bytes[""] > ofAll.bytes {
					m.drop("")
				}
				compareKept(rt, o, &m)
			}
		})
	})
}

func compareKept(rt *rapid.T, o *outcomes, m *keptModel) {
	if len(o.known) != len(m.list) || o.all.ended.Len() != len(m.list) {
		rt.Fatalf("%d outcomes are kept, want %d", len(o.known), len(m.list))
	}
	for _, x := range m.list {
		if o.known[x.of] == nil {
			rt.Fatalf("that of %v is not kept", x.of)
		}
	}
	if o.all.used.count != m.count[""] || o.all.used.bytes != m.bytes[""] {
		rt.Fatalf("counted %d of %d bytes, want %d of %d", o.all.used.count, o.all.used.bytes, m.count[""], m.bytes[""])
	}
	for user, s := range o.byUser {
		if s.used.count != m.count[user] || s.used.bytes != m.bytes[user] || s.used.count == 0 {
			rt.Fatalf("of %s counted %d of %d bytes, want %d of %d", user, s.used.count, s.used.bytes, m.count[user], m.bytes[user])
		}
	}
}

func TestP18_RoomForKeptOutcomes(t *testing.T) {
	of := func(used room) string { return fmt.Sprintf("%d outcomes, %d bytes", used.count, used.bytes) }
	for _, tc := range []struct {
		users, size int
		want        room
	}{
		{100, 0, room{16384, 0}},
		{100, 64 << 10, room{1023, 64 << 20}}, // they have names besides
	} {
		o := NewServer(Options[None]{}).c.outcomes
		for i := range 20_000 {
			x, _, err := o.claim(keyed{user: fmt.Sprint(i % tc.users), key: fmt.Sprint(i)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			o.settle(x, nil, nil, tc.size, true)
		}
		if used := o.all.used; used.count != tc.want.count || tc.want.bytes > 0 && used.bytes > tc.want.bytes {
			t.Errorf("kept of 20,000 outcomes of %d bytes: %s, want %s at most", tc.size, of(used), of(tc.want))
		}
	}
}
