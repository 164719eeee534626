package redis

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyName draws names that are alike, of bytes that matter.
var anyName = rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', ':', '{', '}', '%', '2', '5', 0, ' ', '\n', 'é'}), 1, 6, -1)

// TestNames proves that different names have different keys, and that all keys
// of a topic are in one slot.
func TestNames(t *testing.T) {
	o := &Options{Addrs: []string{"localhost:1"}}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		one, other := anyName.Draw(t, "one"), anyName.Draw(t, "other")
		for _, keys := range []func(string) []string{
			func(n string) []string {
				meta := o.topicKey(n)
				return []string{meta, meta + ":s", meta + ":k", meta + ":z", idKey(meta, other)}
			},
			func(n string) []string { return []string{o.groupKey(n)} },
			func(n string) []string { return []string{o.keepKey(n)} },
		} {
			a, b := keys(one), keys(other)
			if one != other && a[0] == b[0] {
				t.Fatalf("%q and %q have the key %q", one, other, a[0])
			}
			for _, key := range a {
				if slotOf(key) != slotOf(a[0]) {
					t.Fatalf("%q and %q are in different slots", key, a[0])
				}
			}
		}
		all := map[string]bool{o.ownersKey(): true}
		for _, key := range []string{o.topicKey(one), o.topicKey(one) + ":s", o.groupKey(one), o.keepKey(one)} {
			if all[key] {
				t.Fatalf("%q is two things", key)
			}
			all[key] = true
		}
	})
}

// TestSlots has the examples of the cluster's specification, and of its rule
// about braces.
func TestSlots(t *testing.T) {
	for key, want := range map[string]uint16{
		"123456789":            0x31C3,
		"foo":                  12182,
		"{foo}.bar":            12182,
		"x{foo}":               12182,
		"{foo":                 slotOf("{foo"),
		"a{foo}{bar}":          12182,
		"":                     0,
		strings.Repeat("z", 3): slotOf("{zzz}"),
	} {
		if got := slotOf(key); got != want {
			t.Errorf("%q is in slot %d, want %d", key, got, want)
		}
	}
	if slotOf("{}foo") == slotOf("foo") || slotOf("{}foo") == slotOf("{}bar") {
		t.Error("empty braces count")
	}
}
