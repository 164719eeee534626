package enginetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kanava-go/kanava/engine"
)

var nameBehaviours = []behaviour{
	{name: "§4 names of topics are any bytes, and are told apart", run: testTopicNames},
	{name: "§4 keys of a Latest topic are any bytes, and are told apart", run: testKeyNames},
	{name: "D12 names of the registry are any bytes, and are told apart", run: testRegistryNames},
}

// names are such as a careless mapping would mix up, or the ground would take
// for something else.
func names() []string {
	out := []string{
		"a", "A", "aa", "ab", "b",
		"a.b", "a:b", "a/b", "a_b", "a-b", "a b", "a*b", "a>b", "a+b", "a=b", "a%b", "a\\b", "a,b", "a;b", "a|b", "a#b", "a~b", "a{b}", "{a}b", "a$b",
		"a..b", ".a", "a.", "..", ".", " ", "  ", " a", "a ", "a\tb", "a\nb", "a\r\nb", "a\x00b", "\x00", "a\x00", "a\x7fb",
		"*", ">", "a.*", "a.>", "*.b", "?", "[a]", "a?",
		"a%2Eb", "a%2eb", "a%20b", "%00", "612e62", "612E62", "YS5i", "YS5i==", "a__b", "a_2e_b", "=61",
		"$JS.API.INFO", "$KV.a", "_INBOX.a", "__keyspace@0__:*", "__proto__", "NULL", "null", "0", "-1", "'", "''", "\"", "'; DROP TABLE events; --", "%s%n",
		"é", "e\u0301", "ß", "SS", "ı", "\u2028", "\ufeffa", "\u200ba", "𝄞", "日本",
		"\xff", "\xfe", "\xc3", "a\xffb", "a\xfeb", "\xed\xa0\x80", "\ufffd",
		strings.Repeat("x", 511), strings.Repeat("x", 512), strings.Repeat("x", 511) + "y", strings.Repeat("x.", 256), strings.Repeat("\xff", 512), strings.Repeat("\x00", 512),
		strings.Repeat("☃", 170),
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func testTopicNames(l *lab) {
	one, other := l.join(), l.join()
	for _, class := range all {
		// One topic has one class, also from one run to the next.
		mark := class.String()[:1]
		var topics []engine.Topic
		for _, name := range names() {
			t := engine.Topic{Name: name[:min(len(name), 512-len(mark))] + mark, Class: class}
			if len(name) == 512 {
				t.Name = mark + name[1:]
			}
			if class == engine.Recoverable {
				t.Size, t.TTL = 10, longTime
			}
			topics = append(topics, t)
		}
		one.subscribe(topics...)
		other.subscribe(topics...)
		var before []engine.Position
		if class != engine.Volatile {
			var err error
			if before, err = one.tryPositions(topics...); err != nil {
				l.Fatal(err)
			}
		}
		for i, t := range topics {
			other.publish(t, fmt.Sprint(i))
		}
		for i, t := range topics {
			want := []string{fmt.Sprint(i)}
			for _, n := range []*node{one, other} {
				if got := texts(n.await(t, 1)); !slices.Equal(got, want) {
					l.Errorf("%v: by topic %q came %q, want %q", class, t.Name, got, want)
				}
			}
			if class != engine.Recoverable {
				continue
			}
			if got := texts(one.read(t, before[i], 10).Events); !slices.Equal(got, want) {
				l.Errorf("%v: of topic %q %q is read, want %q", class, t.Name, got, want)
			}
		}
	}
}

func testKeyNames(l *lab) {
	n, t := l.join(), l.topic(engine.Latest)
	n.subscribe(t)
	var keys []string
	for _, name := range append(names(), "") {
		keys = append(keys, name[:min(len(name), 256)])
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for i, key := range keys {
		if err := n.tryPublish(t, engine.Event{Key: key, Data: event(fmt.Sprint(i)).Data}); err != nil {
			l.Fatalf("Publish with the key %q: %v", key, err)
		}
	}
	read, _, _ := n.readAll(t, engine.Position{}, 1000)
	for what, events := range map[string][]engine.Event{"came": n.await(t, len(keys)), "is kept": read} {
		if len(events) != len(keys) {
			l.Errorf("%d events: %d %s", len(keys), len(events), what)
			continue
		}
		for i, ev := range events {
			if ev.Key != keys[i] || texts(events[i : i+1])[0] != fmt.Sprint(i) {
				l.Errorf("event %d with the key %q %s as %s with the key %q", i, keys[i], what, ev.Data, ev.Key)
			}
		}
	}
}

func testRegistryNames(l *lab) {
	n := l.join()
	all := names()
	owner, group, member := l.name(), l.name(), l.name()
	n.renew(owner, leaseTime)
	for i, name := range all {
		value := fmt.Append(nil, i)
		n.put(engine.Entry{Group: group, Member: name, Owner: owner, Value: value, Lasts: longTime})
		n.put(engine.Entry{Group: name, Member: member, Owner: owner, Value: value, Lasts: longTime})
		n.renew(name, leaseTime)
		n.put(engine.Entry{Group: member, Member: group, Owner: name, Value: value})
	}
	for _, e := range n.entries(group) {
		if i := slices.Index(all, e.Member); i < 0 || fmt.Sprint(i) != string(e.Value) {
			l.Errorf("member %q is listed with the value %q", e.Member, e.Value)
		}
	}
	if got := len(n.entries(group)); got != len(all) {
		l.Errorf("%d members are listed, want %d", got, len(all))
	}
	if got := len(n.entries(member)); got != len(all) {
		l.Errorf("entries of %d owners are listed, want %d", got, len(all))
	}
	owners := n.owners()
	for i, name := range all {
		if !slices.Contains(owners, name) {
			l.Errorf("the owner %q is not listed", name)
		}
		var mine []engine.Entry
		for _, e := range n.entries(name) {
			if e.Member == member && e.Owner == owner { // others may be from an earlier run
				mine = append(mine, e)
			}
		}
		if len(mine) != 1 || string(mine[0].Value) != fmt.Sprint(i) {
			l.Errorf("in the group %q there is %v", name, mine)
		}
	}
	for _, name := range all {
		n.forget(name)
	}
	for i, name := range all {
		if got, want := n.keep(name, fmt.Sprint(i), longTime), fmt.Sprint(i); got != want {
			l.Errorf("for the key %q %q is kept, want %q", name, got, want)
		}
	}
	for _, name := range all {
		n.forget(name)
	}
}
