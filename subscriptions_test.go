package kanava

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// What a connection is subscribed to is what a plain map says.
func TestSubscriptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var subs subscriptions
		want := map[hubTopic]*subscription{}
		topic := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				sub := &subscription{hubTopic: hubTopic{topic: topic.Draw(t, "topic")}}
				if want[sub.hubTopic] == nil {
					want[sub.hubTopic] = sub
					subs.add(sub)
				}
			},
			"remove": func(t *rapid.T) {
				at := hubTopic{topic: topic.Draw(t, "topic")}
				if sub := want[at]; sub != nil {
					delete(want, at)
					subs.remove(sub)
				}
			},
			"": func(t *rapid.T) {
				got := map[hubTopic]*subscription{}
				for sub := range subs.all() {
					got[sub.hubTopic] = sub
				}
				if !maps.Equal(got, want) || subs.len() != len(want) {
					t.Fatalf("%v, %d of them, want %v", got, subs.len(), want)
				}
				for _, name := range []string{"a", "b", "c", "d"} {
					if at := (hubTopic{topic: name}); subs.get(at) != want[at] {
						t.Fatalf("get %q: %v, want %v", name, subs.get(at), want[at])
					}
				}
			},
		})
	})
}
