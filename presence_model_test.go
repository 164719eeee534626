package kanava_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
)

// presenceStep is one thing that happens, to the who-th of those it can happen
// to.
type presenceStep struct {
	do   string
	who  int
	user string // "" is nobody
	key  string
	data int
	wait time.Duration
}

func (s presenceStep) String() string {
	return fmt.Sprintf("%s %d %q %s=%d %v", s.do, s.who, s.user, s.key, s.data, s.wait)
}

var presenceSteps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) presenceStep {
	return presenceStep{
		do: rapid.SampledFrom([]string{
			"open", "open", "close", "join", "join", "join", "join", "leave", "watch", "watch", "unwatch",
			"sign in", "sign out", "take", "stall", "stall", "flap", "wait", "wait", "ask", "drain", "vanish", "check", "check",
		}).Draw(t, "do"),
		who:  rapid.IntRange(0, 30).Draw(t, "who"),
		user: rapid.SampledFrom([]string{"", "ann", "bob", "cat"}).Draw(t, "user"),
		key:  rapid.SampledFrom([]string{"x", "x", "y"}).Draw(t, "key"),
		data: rapid.IntRange(0, 3).Draw(t, "data"),
		wait: time.Duration(rapid.SampledFrom([]int64{1, 50, 100, 150, 1000, 2500, 4900, 5000, 5100, 21000, 61000}).Draw(t, "wait")) * time.Millisecond,
	}
}), 10, 120)

// stay is one connection in one room, as the truth has it.
type stay struct {
	server int
	key    string
	member string
	owned  bool
	peer   *presencePeer
	data   int
	order  int       // of its last Join among all
	until  time.Time // zero while the connection is there
	unsure time.Time // it may be gone from then on; zero is until
}

// presenceModel plays steps on real servers, and keeps what has to come of them.
type presenceModel struct {
	*presenceRoom
	servers []*server
	gone    []string // what has become of each server; "" is nothing
	peers   []*presencePeer
	on      map[*presencePeer]int
	user    map[*presencePeer]string
	stalled map[*presencePeer]bool // does not read
	stays   []*stay
	order   int
	came    map[string]time.Time // when a member came back who was away: by key and member
}

// TestD12_Model proves that every client that reads ends up with the truth, by
// frames without a gap in v, and is told of nobody who leaves but comes back in
// time.
func TestD12_Model(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := presenceSteps.Draw(rt, "steps")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			m := &presenceModel{
				presenceRoom: newPresenceRoom(t), on: map[*presencePeer]int{}, user: map[*presencePeer]string{}, came: map[string]time.Time{}, stalled: map[*presencePeer]bool{},
				gone: make([]string, 3),
			}
			for range m.gone {
				m.servers = append(m.servers, m.serve(wiring{Public: true}))
			}
			wrong = m.play(steps)
			for _, p := range m.peers {
				p.leave()
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

func (m *presenceModel) play(steps []presenceStep) (wrong string) {
	steps = append(slices.Clone(steps), presenceStep{do: "wait", wait: time.Second}, presenceStep{do: "check"},
		presenceStep{do: "all read"}, presenceStep{do: "check"}, presenceStep{do: "wait", wait: 70 * time.Second}, presenceStep{do: "check"})
	for i, s := range steps {
		if err := m.do(s); err != nil {
			return fmt.Sprintf("step %d, %v: %v", i, s, err)
		}
	}
	for _, p := range m.peers {
		p.leave()
	}
	time.Sleep(70 * time.Second)
	if n := kanava.Gatherings(m.here); n > 0 {
		return fmt.Sprintf("%d topics are kept of which nobody needs to know", n)
	}
	return ""
}

// peer is the n-th of those who are connected, nil if there is none.
func (m *presenceModel) peer(n int) *presencePeer {
	var list []*presencePeer
	for _, p := range m.peers {
		if p.open && m.gone[m.on[p]] == "" {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[n%len(list)]
}

func (m *presenceModel) do(s presenceStep) error {
	server := s.who % len(m.servers)
	switch s.do {
	case "wait":
		time.Sleep(s.wait)
		synctest.Wait()
		return nil
	case "check":
		return m.check()
	case "all read":
		clear(m.stalled)
		return nil
	case "open":
		if m.gone[server] != "" {
			return nil
		}
		p, err := openPresence(m.servers[server])
		if err != nil {
			return err
		}
		m.peers = append(m.peers, p)
		m.on[p] = server
		return m.signIn(p, s.user)
	case "drain", "vanish":
		if m.gone[server] != "" || server == 0 {
			return nil
		}
		return m.end(server, s.do)
	}
	p := m.peer(s.who)
	if p == nil {
		return nil
	}
	switch s.do {
	case "close":
		m.leave(p, 5*time.Second)
		p.leave()
	case "join":
		return m.join(p, s.key, s.data)
	case "leave":
		m.part(5*time.Second, func(x *stay) bool { return x.peer == p && x.key == s.key })
		return m.here.Leave(ctx, p.ch, s.key)
	case "watch":
		return m.hub.Subscribe(ctx, "room:"+s.key, p.link.ID())
	case "unwatch":
		return m.hub.Unsubscribe(ctx, "room:"+s.key, p.link.ID())
	case "sign in":
		if s.user != "" {
			return m.signIn(p, s.user)
		}
	case "sign out":
		m.part(5*time.Second, func(x *stay) bool { return x.peer == p && x.owned })
		m.user[p] = ""
		return p.ch.ClearSession(ctx)
	case "take":
		m.stalled[p] = false
		return m.take(p)
	case "stall":
		m.stalled[p] = true
	case "ask":
		p.link.Receive(fmt.Appendf(nil, `{"id":%d,"presence":"room:%s"}`, 1+len(p.pages)+len(p.errors), s.key), false)
	case "flap": // a client that loses its connection and comes back
		var mine []*stay
		for _, x := range m.stays {
			if x.peer == p && x.until.IsZero() && x.member != p.link.ID() {
				mine = append(mine, x)
			}
		}
		user, was := m.user[p], m.on[p]
		m.leave(p, 5*time.Second)
		p.leave()
		time.Sleep(min(s.wait, 4900*time.Millisecond))
		if m.gone[was] != "" {
			was = 0
		}
		next, err := openPresence(m.servers[was])
		if err != nil {
			return err
		}
		m.peers = append(m.peers, next)
		m.on[next] = was
		if err := m.signIn(next, user); err != nil {
			return err
		}
		for _, x := range mine {
			if err := m.join(next, x.key, x.data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *presenceModel) signIn(p *presencePeer, user string) error {
	if user == "" {
		return nil
	}
	if m.user[p] != "" && m.user[p] != user {
		m.part(5*time.Second, func(x *stay) bool { return x.peer == p && x.owned })
	}
	m.user[p] = user
	return p.ch.SetSession(ctx, account{ID: user})
}

func (m *presenceModel) join(p *presencePeer, key string, data int) error {
	x := &stay{server: m.on[p], key: key, member: p.link.ID(), peer: p, data: data}
	if user := m.user[p]; user != "" {
		x.member, x.owned = user, true
	}
	m.part(5*time.Second, func(y *stay) bool { return y.peer == p && y.key == key && y.member != x.member })
	if !m.visible(key, x.member, time.Now()) {
		m.came[key+" "+x.member] = time.Now()
	}
	m.stays = slices.DeleteFunc(m.stays, func(y *stay) bool { // those that it takes the place of
		same := y.server == x.server && y.key == key && y.member == x.member
		return same && (y.peer == p || !y.until.IsZero())
	})
	m.order++
	x.order = m.order
	m.stays = append(m.stays, x)
	return m.here.Join(ctx, p.ch, key, data)
}

func (m *presenceModel) leave(p *presencePeer, linger time.Duration) {
	m.part(linger, func(x *stay) bool { return x.peer == p })
}

// part ends stays: the last one of a member on a server lingers.
func (m *presenceModel) part(linger time.Duration, which func(*stay) bool) {
	for _, x := range slices.Clone(m.stays) {
		if !x.until.IsZero() || !which(x) {
			continue
		}
		last := !slices.ContainsFunc(m.stays, func(y *stay) bool {
			return y != x && y.server == x.server && y.key == x.key && y.member == x.member && y.until.IsZero()
		})
		if last {
			x.until = time.Now().Add(linger)
		} else {
			m.stays = slices.DeleteFunc(m.stays, func(y *stay) bool { return y == x })
		}
	}
}

// end is the end of a server.
func (m *presenceModel) end(server int, how string) error {
	var on []*presencePeer
	for _, p := range m.peers {
		if p.open && m.on[p] == server {
			on = append(on, p)
		}
	}
	if how == "drain" {
		for _, p := range on {
			if err := m.take(p); err != nil {
				return err
			}
		}
		m.drain(m.servers[server], on...)
		for _, p := range on {
			m.leave(p, time.Minute)
		}
	} else {
		kanava.Vanish(m.servers[server])
		for _, x := range m.stays {
			if x.server == server && x.until.IsZero() { // renewed at most 20 s ago
				x.unsure, x.until = time.Now().Add(40*time.Second), time.Now().Add(time.Minute)
				x.peer = nil
			}
		}
		for _, p := range on {
			p.leave()
		}
	}
	m.gone[server] = how
	return nil
}

// visible tells whether a member is there at a time that is now or to come.
func (m *presenceModel) visible(key, member string, at time.Time) bool {
	return slices.ContainsFunc(m.stays, func(x *stay) bool {
		return x.key == key && x.member == member && (x.until.IsZero() || x.until.After(at))
	})
}

// truth is who is there now. It reports false while that is not known for sure,
// or has changed too short a time ago to be told.
func (m *presenceModel) truth(key string) (text string, sure bool) {
	now := time.Now()
	members := map[string]presenceMember{}
	best := map[string]*stay{}
	for _, x := range m.stays {
		if x.key != key {
			continue
		}
		from := x.until
		if !x.unsure.IsZero() {
			from = x.unsure
		}
		if !from.IsZero() && !now.Before(from) && now.Before(x.until.Add(gathered)) {
			return "", false
		}
		if !x.until.IsZero() && !x.until.After(now) {
			continue
		}
		p := members[x.member]
		if x.there() {
			p.N++
		}
		members[x.member] = p
		if b := best[x.member]; b == nil || x.there() && !b.there() || x.there() == b.there() && x.order > b.order {
			best[x.member] = x
		}
	}
	for id, p := range members {
		members[id] = presenceMember{ID: id, N: max(p.N, 1), Data: jsontext.Value(fmt.Sprint(best[id].data))}
	}
	return presenceText(members), true
}

// there tells whether the entry counts a connection: it is there, or its server
// has vanished.
func (x *stay) there() bool { return x.until.IsZero() || !x.unsure.IsZero() }

// take reads what a client was sent, and looks for members who were told to
// leave that were there all the time.
func (m *presenceModel) take(p *presencePeer) error {
	before := map[string]int{}
	for topic, s := range p.seen {
		before[topic] = len(s.told)
	}
	if err := p.take(); err != nil {
		return err
	}
	for topic, s := range p.seen {
		key := strings.TrimPrefix(topic, "room:")
		for _, f := range s.told[min(before[topic], len(s.told)):] {
			if f.Leave == nil {
				continue
			}
			for _, id := range *f.Leave {
				if m.visible(key, id, time.Now()) && time.Since(m.came[key+" "+id]) > 2*gathered {
					return fmt.Errorf("%s was told to leave %s, and is there", id, key)
				}
			}
		}
	}
	return nil
}

// check compares what all clients know with the truth, if that stands still.
func (m *presenceModel) check() error {
	time.Sleep(2 * gathered)
	synctest.Wait()
	for _, key := range []string{"x", "y"} {
		want, sure := m.truth(key)
		if !sure {
			continue
		}
		if got, err := m.members(key); got != want || err != nil {
			return fmt.Errorf("members of %s are %q, want %q, error %v", key, got, want, err)
		}
		for i, p := range m.peers {
			if !p.open || m.gone[m.on[p]] != "" || m.stalled[p] {
				continue
			}
			if err := m.take(p); err != nil {
				return err
			}
			if s := p.seen["room:"+key]; s == nil || !s.subscribed {
				continue
			}
			if got := p.who("room:" + key); got != want {
				return fmt.Errorf("client %d knows in %s of %q, want %q", i, key, got, want)
			}
		}
	}
	return nil
}

// members is what the server says.
func (m *presenceModel) members(key string) (string, error) {
	members := map[string]presenceMember{}
	for x, err := range m.here.Members(ctx, key) {
		if err != nil {
			return "", err
		}
		members[x.ID] = presenceMember{ID: x.ID, N: x.Conns, Data: jsontext.Value(fmt.Sprint(x.Data))}
	}
	if n, err := m.here.Count(ctx, key); n != len(members) || err != nil {
		return "", fmt.Errorf("the count is %d, error %w", n, err)
	}
	return presenceText(members), nil
}
