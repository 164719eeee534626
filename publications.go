package kanava

import (
	"sync"
	"time"
)

// publications are the ids of what was published in the last minutes to the
// topics of a hub that has no engine; see [Once].
type publications struct {
	mu    sync.Mutex
	known map[publication]struct{} // guarded by mu
	order fifo[publishedAt]        // guarded by mu: the oldest first
}

type publication struct{ topic, id string }

type publishedAt struct {
	publication
	at time.Time
}

const (
	publicationTime = 2 * time.Minute
	publicationMost = 1 << 16 // of a hub; the oldest are forgotten
)

// first reports whether nothing was published to the topic with this id.
func (p *publications) first(topic, id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.order.len() > 0 && (now.Sub(p.order.first().at) >= publicationTime || p.order.len() >= publicationMost) {
		delete(p.known, p.order.pop().publication)
	}
	is := publication{topic, id}
	if _, again := p.known[is]; again {
		return false
	}
	if p.known == nil {
		p.known = make(map[publication]struct{})
	}
	p.known[is] = struct{}{}
	p.order.push(publishedAt{is, now})
	return true
}
