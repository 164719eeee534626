package client

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// subscribe begins a subscription, which ends as a call does and then lasts.
func (p *player) subscribe(arg jsontext.Value) error {
	var s struct {
		As    string `json:"as"`
		Topic string `json:"topic"`
	}
	if err := json.Unmarshal(arg, &s, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &played{cancel: cancel, release: make(chan bool)}
	p.calls[s.As] = x
	go func() {
		sub, err := Subscribe(ctx, p.conn, s.Topic)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ended, x.err = true, err
		if err == nil {
			p.subs[s.As] = sub
		}
	}()
	return nil
}
