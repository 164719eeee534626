package follow

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Publisher publishes numbered events, each until it is kept.
type Publisher struct {
	Broker engine.Broker
	Topic  engine.Topic
	Name   string // differs from the others', and is one word

	texts  []string
	failed int           // publications, before they succeeded
	most   time.Duration // that one has taken
}

// Run publishes until stop is closed.
func (p *Publisher) Run(stop <-chan struct{}) {
	const pace = 2 * time.Millisecond
	turn := time.NewTicker(pace)
	defer turn.Stop()
	for {
		select {
		case <-stop:
			return
		case <-turn.C:
		}
		text := fmt.Sprint(p.Name, " ", len(p.texts))
		ev := engine.Event{ID: rand.Text(), Data: []byte(text)}
		for done := false; !done; {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			begun := time.Now()
			err := p.Broker.Publish(ctx, p.Topic, ev)
			p.most = max(p.most, time.Since(begun))
			cancel()
			if done = err == nil; !done {
				p.failed++
				select {
				case <-stop:
					return
				case <-turn.C:
				}
			}
		}
		p.texts = append(p.texts, text)
	}
}
