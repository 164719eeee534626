package enginetest

import (
	"errors"

	"github.com/kanava-go/kanava/engine"
)

var storeLostBehaviours = []behaviour{
	{name: "a Save whose answer is lost is told from that of somebody else", run: testSaveLost, needs: needsLose},
	{name: "a Delete whose answer is lost does not say that there was nothing", run: testDeleteLost, needs: needsLose},
}

// lose has the answer to the next request with an id lost, after then, and returns
// what fails the test unless that has happened.
func (p *process) lose(id string, then func()) (check func()) {
	happened := make(chan struct{})
	p.l.stores.Lose(p.l.TB, p.Store, id, func() {
		then()
		close(happened)
	})
	return func() {
		p.l.Helper()
		receive(p.l, "an answer is lost", happened)
	}
}

// lossy returns a process that has said all that a store says once, and another one.
func (l *lab) lossy() (lossy, other *process) {
	l.Helper()
	lossy, other = l.process(), l.process()
	for _, m := range storeMethods(l, lossy.Store) {
		if err := lossy.call(m.call); err != nil {
			l.Fatalf("%s: %v", m.name, err)
		}
	}
	return lossy, other
}

func testSaveLost(l *lab) {
	lossy, other := l.lossy()
	for _, replaces := range []bool{false, true} {
		id, version := l.name(), uint64(0)
		if replaces {
			version = other.save(id, "before", 0)
		}
		check := lossy.lose(id, func() {})
		saved, err := lossy.trySave(id, "mine", version, longTime)
		check()
		r := other.load(id)[0]
		if errors.Is(err, engine.ErrConflict) || err == nil && saved != r.Version || string(r.Data) != "mine" {
			l.Errorf("Save returned %d and %v, and %q of version %d is kept", saved, err, r.Data, r.Version)
		}

		// Somebody reads what is kept before Save knows that it is, and replaces it.
		check = lossy.lose(id, func() { other.save(id, "other", other.load(id)[0].Version) })
		if saved, err = lossy.trySave(id, "mine again", r.Version, longTime); errors.Is(err, engine.ErrConflict) {
			l.Errorf("Save of what was kept, and then replaced, returned %v", err)
		}
		check()
		if r := other.load(id)[0]; string(r.Data) != "other" {
			l.Errorf("Save of what was kept, and then replaced, returned %d and %v, and %q is kept", saved, err, r.Data)
		}
	}
}

func testDeleteLost(l *lab) {
	lossy, other := l.lossy()
	id := l.name()
	version := other.save(id, "x", 0)
	check := lossy.lose(id, func() {})
	r, err := lossy.tryDelete(id)
	check()
	if err == nil && (string(r.Data) != "x" || r.Version != version) {
		l.Errorf("Delete of version %d returns %q of version %d", version, r.Data, r.Version)
	}
	other.keepsNone("after Delete", id)
}
