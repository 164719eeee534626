package app

import "sync"

// Topics are who is subscribed to what.
type Topics[C comparable] struct {
	mu   sync.RWMutex
	subs map[string]map[C]struct{} // guarded by mu
}

// Join subscribes c.
func (t *Topics[C]) Join(topic string, c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subs == nil {
		t.subs = make(map[string]map[C]struct{})
	}
	if t.subs[topic] == nil {
		t.subs[topic] = make(map[C]struct{})
	}
	t.subs[topic][c] = struct{}{}
}

// Leave undoes Join.
func (t *Topics[C]) Leave(topic string, c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subs[topic], c)
}

// Gone undoes every Join of c.
func (t *Topics[C]) Gone(c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, subs := range t.subs {
		delete(subs, c)
	}
}

// Each calls f for all subscribers.
func (t *Topics[C]) Each(topic string, f func(C)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for c := range t.subs[topic] {
		f(c)
	}
}
