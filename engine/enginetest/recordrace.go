package enginetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/kanava-go/kanava/engine"
)

var recordRaceBehaviours = []behaviour{
	{name: "of many who save in the place of one version one succeeds", run: testOneSaves},
	{name: "a number that many raise at once misses none of them", run: testCounter},
	{name: "of many who delete one record one gets it", run: testOneDeletes},
	{name: "of Save and Delete at once the second sees the first", run: testSaveOrDelete},
}

// racers is how many do the same at once in these tests.
const racers = 6

func testOneSaves(l *lab) {
	all, id := l.processes(3), l.name()
	version := uint64(0)
	for round := range 30 {
		if round%5 == 4 {
			all[0].delete(id)
			version = 0
		}
		var mu sync.Mutex
		winner, number := "", 0
		former := version
		l.together(racers, func(i int) error {
			data := fmt.Sprintf("%d in round %d", i, round)
			saved, err := all[i%3].trySave(id, data, former, longTime)
			if errors.Is(err, engine.ErrConflict) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			number++
			winner, version = data, saved
			return err
		})
		if number != 1 {
			l.Fatalf("%d of %d who saved in the place of version %d succeeded", number, racers, former)
		}
		all[round%3].keeps("after many have saved at once", id, winner, version)
	}
}

func testCounter(l *lab) {
	all, id := l.processes(3), l.name()
	const each = 20
	l.together(racers, func(i int) error {
		for range each {
			if err := all[i%3].raise(id); err != nil {
				return err
			}
		}
		return nil
	})
	if got := string(all[0].load(id)[0].Data); got != strconv.Itoa(racers*each) {
		l.Errorf("%d times a number was raised by 1, and it is %s", racers*each, got)
	}
}

// raise adds 1 to the number that a record is.
func (p *process) raise(id string) error {
	for range 1000 {
		records, err := p.tryLoad(id)
		if err != nil {
			return err
		}
		n := 0
		if r := records[0]; r.Version != 0 {
			if n, err = strconv.Atoi(string(r.Data)); err != nil {
				return err
			}
		}
		if _, err = p.trySave(id, strconv.Itoa(n+1), records[0].Version, longTime); !errors.Is(err, engine.ErrConflict) {
			return err
		}
	}
	return errors.New("a thousand times another was faster")
}

func testOneDeletes(l *lab) {
	all, id := l.processes(3), l.name()
	for round := range 30 {
		data := fmt.Sprint("round ", round)
		version := all[round%3].save(id, data, 0)
		var mu sync.Mutex
		got := 0
		l.together(racers, func(i int) error {
			r, err := all[i%3].tryDelete(id)
			if err != nil || r.Version == 0 {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if got++; string(r.Data) != data || r.Version != version {
				return fmt.Errorf("Delete returns %q of version %d, want %q of version %d", r.Data, r.Version, data, version)
			}
			return nil
		})
		if got != 1 {
			l.Fatalf("%d of %d who deleted a record got it", got, racers)
		}
	}
}

func testSaveOrDelete(l *lab) {
	all, id := l.processes(2), l.name()
	for round := range 40 {
		version := all[0].save(id, "first", 0)
		var saved uint64
		var conflict error
		var got engine.Record
		l.together(2, func(i int) (err error) {
			if i == round%2 { // each begins as often
				got, err = all[0].tryDelete(id)
				return err
			}
			saved, err = all[1].trySave(id, "second", version, longTime)
			if errors.Is(err, engine.ErrConflict) {
				conflict, err = err, nil
			}
			return err
		})
		switch {
		case conflict == nil && (string(got.Data) != "second" || got.Version != saved):
			l.Errorf("Save returned version %d, and Delete %q of version %d", saved, got.Data, got.Version)
		case conflict != nil && (string(got.Data) != "first" || got.Version != version):
			l.Errorf("Save of version %d conflicted, and Delete returned %q of version %d", version, got.Data, got.Version)
		}
		all[0].keepsNone("after Delete", id)
	}
}
