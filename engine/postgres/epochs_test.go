package postgres_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// TestD2_OtherDataBeginsEpochs is that a topic whose data may not be what it was
// has another epoch, and that one whose server was killed has not.
func TestD2_OtherDataBeginsEpochs(t *testing.T) {
	for _, c := range []struct {
		name    string
		replace func(s *server) // after the event "2"
		kept    []string        // of three events, the last of which was published after it
		same    bool
	}{
		{"the server is killed", func(s *server) { s.restart(true) }, []string{"1", "2", "3"}, true},
		{"a standby takes over", func(s *server) {
			s.kill()
			if err := os.WriteFile(filepath.Join(s.dir, "standby.signal"), nil, 0o644); err != nil {
				s.tb.Fatal(err)
			}
			s.start()
			s.eventually("promotion", func() bool { return s.do("SELECT pg_promote()") == "t" })
			s.eventually("server that takes writes", func() bool { return s.do("SELECT pg_is_in_recovery()") == "f" })
		}, []string{"1", "2", "3"}, false},
		{"an older copy of the files", func(s *server) {
			s.kill()
			s.remove()
			s.copyTree(s.dir+"-copy", s.dir)
			s.start()
		}, []string{"1", "3"}, false},
		{"a dump that is restored", func(s *server) {
			dump := filepath.Join(filepath.Dir(s.dir), "dump")
			if out, err := command(s.tb, "pg_dump", "-d", s.url(), "-n", "kanava", "-f", dump).CombinedOutput(); err != nil {
				s.tb.Fatalf("%v: %s", err, out)
			}
			text, err := os.ReadFile(dump)
			if err != nil {
				s.tb.Fatal(err)
			}
			if out, err := command(s.tb, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.url(), "-c", "DROP SCHEMA kanava CASCADE", "-f", dump).CombinedOutput(); err != nil {
				s.tb.Fatalf("%v: %s\n%s", err, out, text)
			}
			s.restart(true) // or connections know the tables that were
		}, []string{"1", "2", "3"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			n := join(t, postgres.Options{URL: s.url()})
			recoverable, latest, ordered := topic(engine.Recoverable), topic(engine.Latest), topic(engine.Ordered)
			all := []engine.Topic{recoverable, latest, ordered}
			n.subscribe(all...)
			var before []engine.Position
			for _, top := range all {
				n.publish(top, "1")
			}
			if c.name == "an older copy of the files" {
				s.do("CHECKPOINT")
				s.kill()
				s.copyTree(s.dir, s.dir+"-copy")
				s.start()
				n.until("Resumed", func() bool { return n.resumed[recoverable.Name] > 0 })
			}
			for _, top := range all {
				n.insist(top, "2")
				before = append(before, n.position(top))
			}
			if err := n.Probe(within(t)); err != nil { // which looks at the log
				t.Fatal(err)
			}
			n.mu.Lock()
			clear(n.resumed)
			n.mu.Unlock()
			c.replace(s)
			for i, top := range all {
				n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
				n.insist(top, "3")
				after := n.position(top)
				if same := after.Epoch == before[i].Epoch; same != c.same {
					t.Errorf("%v: it went from %v to %v", top.Class, before[i], after)
				}
				page := n.read(top, before[i])
				if lost := !c.same || top.Class == engine.Ordered; page.Lost != lost {
					t.Errorf("%v: Read from the position before says lost: %v", top.Class, page.Lost)
				}
				if top.Class != engine.Recoverable {
					continue
				}
				page = n.read(top, engine.Position{})
				if got := texts(page.Events); !slices.Equal(got, c.kept) {
					t.Errorf("%q are kept, want %q", got, c.kept)
				}
			}
		})
	}
}

// TestD1_OffsetsOfClasses is that a topic has one count, also while programs say
// different things of it, and that each publication keeps what it says.
func TestD1_OffsetsOfClasses(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	const each = 100
	var group sync.WaitGroup
	for _, class := range []engine.Class{engine.Recoverable, engine.Ordered, engine.Latest} {
		said := engine.Topic{Name: top.Name, Class: class, Size: 1000, TTL: time.Hour}
		for range each {
			group.Go(func() { n.publish(said, "x") })
		}
	}
	group.Wait()
	for i, ev := range n.next(top, 3*each) {
		if ev.At.Offset != uint64(i)+1 || ev.Prev != uint64(i) || ev.At.Epoch != n.position(top).Epoch {
			t.Fatalf("event %d has %v, after %d", i, ev.At, ev.Prev)
		}
	}
	if got := s.do("SELECT count(*) FROM kanava.events"); got != "100" {
		t.Errorf("%s events are kept, want 100", got)
	}
	if got := s.do("SELECT count(*) FROM kanava.latest"); got != "1" {
		t.Errorf("%s keys are kept, want 1", got)
	}
}
