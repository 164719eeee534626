package client

import (
	"context"
	"iter"

	"github.com/go-json-experiment/json"
)

// This file tells programs who is there. M is the data of a member.

// Presence is who is there in a topic.
type Presence[M any] struct {
	Topic Topic
	// Count is the number of all members.
	Count int
	// Listed says that Members is who is there. Of more than 200 members, or 256
	// KiB of them, only the number is known; [Members] goes through them.
	Listed bool
	// Members are in order of their ids. They may be fewer than Count: the server
	// can hide some from this client.
	Members []Member[M]
	// Joined and Left are who has come and gone since the function was told
	// before, where Listed was set both times. Who has only changed is in neither.
	Joined, Left []Member[M]
}

// Member is a user who is there, or a connection without one.
type Member[M any] struct {
	ID          string
	Connections int
	Data        M
}

// OnPresence tells f who is there in one topic, "family:key", whenever that
// changes, and at once if it is known. Changes that come faster than f returns
// are told as one. The server tells those who are subscribed to the topic; after
// the end of the subscription f is told once that nobody is there, and while a
// connection is lost what was known before stays.
func OnPresence[M any](c *Conn, family, key string, f func(Presence[M])) *Listener {
	return c.listenPresence(&Listener{at: listenKey{listenPresence, family}, key: key, tell: presenceTeller(c, f)})
}

// OnPresences is OnPresence for all topics of a family.
func OnPresences[M any](c *Conn, family string, f func(Presence[M])) *Listener {
	return c.listenPresence(&Listener{at: listenKey{listenPresence, family}, every: true, tell: presenceTeller(c, f)})
}

func (c *Conn) listenPresence(l *Listener) *Listener {
	c.listen(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.presences {
		if p.listensAt() == l.at && l.wants(p.topic()) {
			p.tellOne(l)
		}
	}
	return l
}

func presenceTeller[M any](c *Conn, f func(Presence[M])) func(h *happening) error {
	return func(h *happening) (err error) {
		now, _ := h.value.(*presenceNow)
		of := func(list []*member) []Member[M] {
			if len(list) == 0 {
				return nil
			}
			all := make([]Member[M], len(list))
			for i, m := range list {
				if e := m.decode(c, &all[i].Data); e != nil {
					err = e
				}
				all[i].ID, all[i].Connections = m.id, m.n
			}
			return all
		}
		p := Presence[M]{now.topic, now.count, now.listed, of(now.members), of(now.joined), of(now.left)}
		if err == nil {
			f(p)
		}
		return err
	}
}

func (m *member) decode(c *Conn, to any) error {
	if len(m.data) == 0 {
		return nil
	}
	return c.decode(m.data, to)
}

// Members goes through who is there in a topic, "family:key", in order of their
// ids, each time that the result is ranged over. The server is asked for a page
// at a time, with the time limit of a call, and answers who is subscribed to the
// topic. An error is the last pair and always an *Error.
func Members[M any](ctx context.Context, c *Conn, topic string) iter.Seq2[Member[M], error] {
	return func(yield func(Member[M], error) bool) {
		for after := ""; ; {
			page, err := c.membersPage(ctx, topic, after)
			if err != nil {
				yield(Member[M]{}, err)
				return
			}
			for _, w := range *page.All {
				m := Member[M]{ID: w.ID, Connections: w.N}
				if err := (&member{data: w.Data}).decode(c, &m.Data); err != nil {
					yield(Member[M]{}, err)
					return
				}
				if !yield(m, nil) {
					return
				}
			}
			switch {
			case page.Next == "":
				return
			case page.Next <= after:
				yield(Member[M]{}, fault(CodeInvalidFrame, "the server's list of members does not go on"))
				return
			}
			after = page.Next
		}
	}
}

// membersPage returns the members behind one.
func (c *Conn) membersPage(ctx context.Context, topic, after string) (*wirePresence, error) {
	x := &call{c: c, action: "presence", text: membersRequest(topic, after)[1:], done: make(chan struct{})}
	raw, err := c.await(ctx, x)
	if err != nil {
		return nil, err
	}
	page := &wirePresence{}
	if err := json.Unmarshal(raw, page); err != nil || page.All == nil {
		return nil, fault(CodeInvalidFrame, "the server sent a page of members that makes no sense").because(err)
	}
	return page, nil
}
