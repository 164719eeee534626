package e2e

import "testing"

// counters are what the chat's page shows to people.
type counters struct{ Received, Lost, Doubled int }

// page is the chat's page in a browser. What it counted has to be what it
// showed.
type page struct{ *program }

func startPage(t *testing.T, net *network) surviving {
	return page{startProgram(t, "chromium", "js", nil, "node", "page.mjs", net.url(""))}
}

func (p page) end() {
	p.t.Helper()
	p.program.end()
	shown := counters{}
	for _, r := range p.seen() {
		if r.Lost {
			shown.Lost++
		} else {
			shown.Received++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// What the page shows besides the events it was given is the room's history,
	// which it asks for when it has joined.
	if c := p.last.Count; c == nil || c.Lost != shown.Lost || c.Doubled != shown.Doubled || c.Received == 0 || c.Received > shown.Received {
		p.t.Errorf("chromium: the page counted %+v, and showed %+v", p.last.Count, shown)
	}
}
