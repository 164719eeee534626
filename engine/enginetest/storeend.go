package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var storeEndBehaviours = []behaviour{
	{name: "methods of a store return when their context ends", run: testStoreCancel},
	{name: "methods of a store return while the link is cut, and all is well after it", run: testStoreCut, needs: needsCut},
	{name: "no Save is lost or done twice while links are cut again and again", run: testStoreCuts, needs: needsCut},
}

// storeMethods returns all methods of a store, with something to do.
func storeMethods(l *lab, s engine.Store) []method {
	id, group := l.name(), l.name()
	return []method{
		{name: "Load", call: func(ctx context.Context) error {
			_, err := s.Load(ctx, []string{id, l.name()})
			return err
		}},
		{name: "Save", call: func(ctx context.Context) error {
			_, err := s.Save(ctx, l.name(), []byte("x"), 0, time.Minute)
			return err
		}},
		{name: "Delete", call: func(ctx context.Context) error {
			_, err := s.Delete(ctx, id)
			return err
		}},
		{name: "Join", call: func(ctx context.Context) error { return s.Join(ctx, group, "m", time.Minute) }},
		{name: "Leave", call: func(ctx context.Context) error { return s.Leave(ctx, group, "m") }},
		{name: "Members", call: func(ctx context.Context) error {
			var last error
			for _, err := range s.Members(ctx, group) {
				if last != nil {
					return errors.New("after an error there is something else")
				}
				last = err
			}
			return last
		}},
	}
}

func testStoreCancel(l *lab) {
	p := l.process()
	all := storeMethods(l, p.Store)
	for _, m := range all {
		if err := p.call(m.call); err != nil {
			l.Fatalf("%s: %v", m.name, err)
		}
		over, cancel := context.WithCancel(l.Context())
		cancel()
		began := time.Now()
		if err := m.call(over); !errors.Is(err, context.Canceled) {
			l.Errorf("%s with a context that has ended: %v", m.name, err)
		}
		if took := time.Since(began); took > promptly {
			l.Errorf("%s with a context that has ended took %v", m.name, took)
		}
		for i := range 20 { // many are broken off, here or there
			_ = ends(l, m, time.Duration(i)*50*time.Microsecond)
		}
	}
	for _, m := range all {
		if err := p.call(m.call); err != nil {
			l.Errorf("%s after others were broken off: %v", m.name, err)
		}
	}
}

func testStoreCut(l *lab) {
	cut, other := l.process(), l.process()
	id, group := l.name(), l.name()
	version := cut.save(id, "before", 0)
	cut.join(group, "stays", "leaves")
	heal := l.stores.Cut(l.TB, cut.Store)
	defer heal()
	for _, m := range storeMethods(l, cut.Store) {
		err := ends(l, m, 300*time.Millisecond)
		if err == nil || errors.Is(err, engine.ErrConflict) {
			l.Errorf("%s while the link is cut returns %v", m.name, err)
		}
	}
	_ = ends(l, method{name: "Save", call: func(ctx context.Context) error {
		_, err := cut.Save(ctx, id, []byte("during"), version, longTime)
		return err
	}}, 300*time.Millisecond)
	_ = ends(l, method{name: "Leave", call: func(ctx context.Context) error { return cut.Leave(ctx, group, "leaves") }}, 300*time.Millisecond)
	other.join(group, "joins")
	heal()
	l.eventually("methods succeed again", func() bool {
		_, err := cut.tryLoad(id)
		return err == nil
	})
	for _, m := range storeMethods(l, cut.Store) {
		if err := cut.call(m.call); err != nil {
			l.Errorf("%s when the link is whole again: %v", m.name, err)
		}
	}
	r := cut.load(id)[0]
	if was := string(r.Data); was != "before" && was != "during" || (was == "before") != (r.Version == version) {
		l.Errorf("a Save that failed has left %q of version %d", was, r.Version)
	}
	cut.save(id, "after", r.Version)
	cut.leave(group, "leaves")
	cut.hasMembers("after a cut", group, "joins", "stays")
}

// testStoreCuts has many write words into one record, while the links of some are
// cut now and then. Who does not know whether a word was written looks.
func testStoreCuts(l *lab) {
	all, id := l.processes(3), l.name()
	const each = 60
	done := make(chan struct{})
	cuts := make(chan struct{})
	go func() {
		defer close(cuts)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			heal := l.stores.Cut(l.TB, all[i%2].Store)
			l.pass(20 * time.Millisecond)
			heal()
			l.pass(30 * time.Millisecond)
		}
	}()
	errs := make(chan error, len(all))
	for i, p := range all {
		go func() {
			var err error
			for k := 0; k < each && err == nil; k++ {
				err = p.write(id, fmt.Sprintf("%d-%d", i, k))
				l.pass(5 * time.Millisecond)
			}
			errs <- err
		}()
	}
	for range all {
		if err := <-errs; err != nil {
			l.Error(err)
		}
	}
	close(done)
	<-cuts
	count := make(map[string]int)
	for word := range strings.FieldsSeq(string(all[2].load(id)[0].Data)) {
		count[word]++
	}
	for i := range all {
		for k := range each {
			if word := fmt.Sprintf("%d-%d", i, k); count[word] != 1 {
				l.Errorf("%q was written once, and is there %d times", word, count[word])
			}
		}
	}
}

// write writes a word behind those of a record, however often that has to be tried.
func (p *process) write(id, word string) error {
	began := time.Now()
	for ; time.Since(began) < p.l.patience(); p.l.pass(time.Millisecond) {
		records, err := p.tryLoad(id)
		if err != nil {
			continue
		}
		text := string(records[0].Data)
		if slices.Contains(strings.Fields(text), word) {
			return nil
		}
		if _, err = p.trySave(id, text+" "+word, records[0].Version, longTime); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q could not be written within %v", word, p.l.patience())
}
