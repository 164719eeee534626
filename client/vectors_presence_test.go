package client

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What vectors say of presences.

// toldPresence is what an application is told of a presence, and what a vector
// says of that: members that it does not give are not compared.
type toldPresence struct {
	Topic   string         `json:"topic"`
	Key     string         `json:"key"`
	Count   int            `json:"count"`
	Members jsontext.Value `json:"members,omitzero"`
	Joined  []string       `json:"joined"`
	Left    []string       `json:"left"`
}

type toldMember struct {
	ID          string         `json:"id"`
	Connections int            `json:"connections"`
	Data        jsontext.Value `json:"data"`
}

func told(m Member[jsontext.Value]) toldMember { return toldMember(m) }

func (p *player) listenPresence(family string) {
	OnPresences(p.conn, family, func(now Presence[jsontext.Value]) {
		text := toldPresence{now.Topic.Name, now.Topic.Key, now.Count, jsontext.Value("null"), []string{}, []string{}}
		if now.Listed {
			members := []toldMember{}
			for _, m := range now.Members {
				members = append(members, told(m))
			}
			text.Members, _ = json.Marshal(members)
		}
		for _, m := range now.Joined {
			text.Joined = append(text.Joined, m.ID)
		}
		for _, m := range now.Left {
			text.Left = append(text.Left, m.ID)
		}
		b, _ := json.Marshal(text)
		p.tell(`{"presence":%s}`, b)
	})
}

// samePresence compares what was told with what a vector says.
func samePresence(got, want []byte) error {
	var g, w struct {
		Presence *toldPresence `json:"presence"`
	}
	if err := json.Unmarshal(want, &w, raw); err != nil {
		return err
	}
	if err := json.Unmarshal(got, &g); err != nil || g.Presence == nil {
		return fmt.Errorf("told %s", got)
	}
	if w.Presence.Members == nil {
		g.Presence.Members = nil
	}
	if w.Presence.Joined == nil {
		w.Presence.Joined = []string{}
	}
	if w.Presence.Left == nil {
		w.Presence.Left = []string{}
	}
	a, _ := json.Marshal(g)
	b, _ := json.Marshal(w)
	return same(a, b)
}

// startMembers begins a loop over who is there, which takes each at once.
func (p *player) startMembers(arg jsontext.Value) error {
	var m struct {
		As    string `json:"as"`
		Topic string `json:"topic"`
	}
	if err := json.Unmarshal(arg, &m, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &played{cancel: cancel, release: make(chan bool)}
	p.calls[m.As] = x
	go func() {
		var failed error
		for member, err := range Members[jsontext.Value](ctx, p.conn, m.Topic) {
			if failed = err; err == nil {
				item, _ := json.Marshal(told(member))
				x.mu.Lock()
				x.items = append(x.items, item)
				x.mu.Unlock()
			}
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ended, x.err = true, failed
	}()
	return nil
}
