package sse

import (
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"sync"
)

// register holds the open streams of a handler by their secrets (docs/protocol.md
// S2). A secret is "<node>.<name><key>": the node where the connection is, so
// that others can find it; a name under which the stream is found there, and the
// key, of 130 random bits, which is compared in constant time.
type register struct {
	node string

	mu      sync.RWMutex
	streams map[string]*stream // guarded by mu: by name
}

// newRegister makes a register; node is "" where there are no other nodes.
func newRegister(node string) *register {
	if node == "" {
		node = strings.ToLower(rand.Text()[:8])
	}
	return &register{node: node, streams: make(map[string]*stream)}
}

// elsewhere returns the node that a secret names, "" if that is this one, or it
// is none.
func (g *register) elsewhere(secret string) string {
	node, random, _ := strings.Cut(secret, ".")
	if node == g.node || len(random) != 2*nameLen || len(node) > 64 {
		return ""
	}
	return node
}

// nameLen is the length of a name, and that of a key.
const nameLen = 26

func (g *register) newSecret() string { return g.node + "." + rand.Text() + rand.Text() }

// nameIn returns the name in a secret, "" if it is none of this node's.
func (g *register) nameIn(secret string) string {
	node, random, _ := strings.Cut(secret, ".")
	if node != g.node || len(random) != 2*nameLen {
		return ""
	}
	return random[:nameLen]
}

func (g *register) add(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams[g.nameIn(s.secret)] = s
}

// remove forgets a stream: its secret is worth nothing from now on.
func (g *register) remove(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, g.nameIn(s.secret))
}

// find returns the stream with this secret, nil if there is none.
func (g *register) find(secret string) *stream {
	g.mu.RLock()
	s := g.streams[g.nameIn(secret)]
	g.mu.RUnlock()
	if s == nil || subtle.ConstantTimeCompare([]byte(s.secret), []byte(secret)) != 1 {
		return nil
	}
	return s
}
