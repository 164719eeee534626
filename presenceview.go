package kanava

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kanava-go/kanava/internal/form"
)

const (
	// presenceListed is up to how many members frames tell who they are, and
	// presenceRelisted at how many they do so again: a number that goes up and
	// down a little does not make them change each time.
	presenceListed   = 200
	presenceRelisted = 150
	// leftMost is how many of those who have left are known to a view: who is
	// further behind is told everything.
	leftMost = 200
)

// presenceView is what subscribers of one topic are told at one moment, and
// what has changed since earlier ones. It does not change, and is encoded once
// for all who need the same of it.
type presenceView struct {
	version uint64
	since   uint64 // differences are known from this version on
	count   int
	listed  bool // tells who is there, and not only how many
	members []*shownMember
	left    []leftMember // in order of their leaving
	weight  int          // about the bytes of a frame that tells everything

	all  atomic.Pointer[[]byte] // the body that tells everything
	step atomic.Pointer[[]byte] // the body that tells what changed since the version before
}

// shownMember is a member as it is told; it does not change.
type shownMember struct {
	memberNow
	json            []byte
	joined, changed uint64 // the versions in which that was told
}

// leftMember is one who was told to be there, and is not any more.
type leftMember struct {
	id           string
	joined, left uint64
}

// look makes the view that is told from now on. It reports false if it would
// tell nothing new. g.mu is held.
func (g *gathering) look() bool {
	old := g.view.Load()
	v := &presenceView{version: old.version + 1, since: old.since, count: len(g.order), weight: memberCost}
	members, most := presenceListed, presenceBytes
	if !old.listed {
		members, most = presenceRelisted, presenceBytes*presenceRelisted/presenceListed
	}
	v.listed = len(g.order) <= members && g.bytes <= most
	if v.listed {
		v.weight += g.bytes
	}
	changed := v.listed != old.listed
	switch {
	case changed:
		v.since = v.version
	case !v.listed:
		changed = v.count != old.count
	default:
		v.left = old.left
		for _, was := range old.members {
			if g.members[was.id] == nil {
				v.left = append(v.left, leftMember{was.id, was.joined, v.version})
				changed = true
			}
		}
		if n := len(v.left) - leftMost; n > 0 {
			v.since = v.left[n-1].left
			v.left = slices.Clone(v.left[n:])
		}
	}
	if v.listed {
		v.members = make([]*shownMember, len(g.order))
		for i, a := range g.order {
			m := old.find(a.id)
			if m == nil || m.n != a.n || !bytes.Equal(m.data, a.data) {
				m = v.show(a.memberNow, m)
				changed = true
			}
			v.members[i] = m
		}
	}
	if changed {
		g.view.Store(v)
	}
	return changed
}

// show makes what is told of a member, and was told before if that is not nil.
func (v *presenceView) show(m memberNow, was *shownMember) *shownMember {
	s := &shownMember{memberNow: m, json: form.AppendMember(nil, m.id, m.n, m.data), joined: v.version, changed: v.version}
	if was != nil {
		s.joined = was.joined
	}
	return s
}

func (v *presenceView) find(id string) *shownMember {
	i, ok := slices.BinarySearchFunc(v.members, id, func(m *shownMember, id string) int { return strings.Compare(m.id, id) })
	if !ok {
		return nil
	}
	return v.members[i]
}

// knows reports whether the view can tell the difference to an earlier version.
func (v *presenceView) knows(version uint64) bool { return v.listed && version >= v.since }

// difference returns who has joined or changed since a version that the view
// knows, and who has left.
func (v *presenceView) difference(since uint64) (join []*shownMember, leave []string) {
	for _, m := range v.members {
		if m.changed > since {
			join = append(join, m)
		}
	}
	for _, l := range v.left {
		if l.left > since && l.joined <= since && v.find(l.id) == nil {
			leave = append(leave, l.id)
		}
	}
	return join, leave
}

// whole returns the body that tells everything.
func (v *presenceView) whole() []byte {
	return once(&v.all, func() []byte {
		if !v.listed {
			return form.AppendCount(nil, v.count)
		}
		return form.AppendAll(nil, encodings(v.members), v.count)
	})
}

// change returns the body that tells the difference to an earlier version, nil
// if there is none.
func (v *presenceView) change(since uint64) []byte {
	body := func() []byte {
		join, leave := v.difference(since)
		if len(join)+len(leave) == 0 {
			return nil
		}
		return form.AppendChange(nil, encodings(join), leave, v.count)
	}
	if since+1 == v.version {
		return once(&v.step, body)
	}
	return body()
}

func encodings(members []*shownMember) [][]byte {
	list := make([][]byte, len(members))
	for i, m := range members {
		list[i] = m.json
	}
	return list
}

// once returns what is kept at p, which is made when it is needed first.
func once(p *atomic.Pointer[[]byte], encode func() []byte) []byte {
	if b := p.Load(); b != nil {
		return *b
	}
	b := encode()
	p.Store(&b)
	return b
}
