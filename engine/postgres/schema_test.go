package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

func migrate(t *testing.T, s *server, schema string) error {
	conn, err := pgx.Connect(within(t), s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	return postgres.Migrate(within(t), conn, schema)
}

// TestSchemasAreApart is that programs with different schemas do not notice each
// other, and that several nodes at once make one schema.
func TestSchemasAreApart(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	top := topic(engine.Recoverable)
	var nodes []*node
	for i := range 6 {
		n := join(t, postgres.Options{URL: s.url(), Schema: fmt.Sprint("chat_", i%2)})
		nodes = append(nodes, n)
	}
	var joining sync.WaitGroup
	for _, n := range nodes {
		joining.Go(func() { n.subscribe(top) })
	}
	joining.Wait()
	nodes[0].publish(top, "0")
	nodes[1].publish(top, "1")
	for i, n := range nodes {
		n.next(top, 1)
		if got := n.come(top); len(got) != 1 || got[0] != fmt.Sprint(i%2) {
			t.Errorf("node %d got %q", i, got)
		}
	}
}

// TestSchemaNamedByAWord is that a schema may have the name of a word of SQL.
func TestSchemaNamedByAWord(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	for _, schema := range []string{"user", "order"} {
		n := join(t, postgres.Options{URL: s.url(), Schema: schema})
		for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
			top := topic(class)
			n.subscribe(top)
			n.publish(top, "1", strings.Repeat("x", 10_000))
			n.next(top, 2)
			if class == engine.Latest || class == engine.Recoverable {
				n.read(top, engine.Position{})
			}
		}
		if err := n.Probe(within(t)); err != nil {
			t.Error(err)
		}
		if _, err := n.Renew(within(t), "o", time.Minute); err != nil {
			t.Error(err)
		}
		useStore(t, n)
		s.do(`UPDATE "` + schema + `".tending SET at = 'epoch'; SELECT "` + schema + `".partitions(), "` + schema + `".tend(), "` + schema + `".tend_store()`)
	}
}

// TestNoMigrate is that an engine that is not to make the schema waits for it, says
// so, and needs no other rights than package documentation says.
func TestNoMigrate(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	s.do("CREATE ROLE plain LOGIN")
	url := strings.Replace(s.url(), "postgres@", "plain@", 1)
	n := join(t, postgres.Options{URL: url, NoMigrate: true})
	top := topic(engine.Recoverable)
	n.subscribe(top) // listening needs no tables
	short, cancel := shortly(t)
	defer cancel()
	if _, err := n.Positions(short, []engine.Topic{top}); err == nil || !strings.Contains(err.Error(), "call Migrate") {
		t.Errorf("without a schema Positions says %v", err)
	}
	for range 2 { // the second finds nothing to do
		if err := migrate(t, s, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(t, s, "Chat"); err == nil {
		t.Error("Migrate makes a schema that Options refuse")
	}
	s.do(`GRANT USAGE ON SCHEMA kanava TO plain; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kanava TO plain`)
	n.publish(top, "1", strings.Repeat("x", 10_000))
	n.next(top, 2)
	s.do("DROP TABLE kanava." + s.do("SELECT kanava.partition_of(kanava.day(now()) + 8)"))
	other := join(t, postgres.Options{URL: url, NoMigrate: true}) // makes the partition
	if page := other.read(top, engine.Position{}); len(page.Events) != 2 {
		t.Errorf("%d events are kept", len(page.Events))
	}
	if n := s.do("SELECT count(*) FROM pg_inherits WHERE inhparent = 'kanava.events'::regclass"); n != "11" {
		t.Errorf("events have %s partitions", n)
	}
	if _, err := other.Renew(within(t), "o", time.Minute); err != nil {
		t.Error(err)
	}
	if err := other.Put(within(t), engine.Entry{Group: "g", Member: "m", Owner: "o"}); err != nil {
		t.Error(err)
	}
	useStore(t, other)
}

// useStore calls all methods of a store.
func useStore(t *testing.T, n *node) {
	t.Helper()
	saved, err := n.Save(within(t), "a", []byte("x"), 0, time.Minute)
	if err == nil {
		_, err = n.Save(within(t), "a", []byte("x"), saved, time.Minute)
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := n.Load(within(t), []string{"a"}); err != nil {
		t.Error(err)
	}
	if _, err := n.Delete(within(t), "a"); err != nil {
		t.Error(err)
	}
	if err := n.Join(within(t), "g", "a", time.Minute); err != nil {
		t.Error(err)
	}
	for _, err := range n.Members(within(t), "g") {
		if err != nil {
			t.Error(err)
		}
	}
	if err := n.Leave(within(t), "g", "a"); err != nil {
		t.Error(err)
	}
}

// TestWhatHasEndedGoes is that nothing stays in the database that nobody can read.
func TestWhatHasEndedGoes(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	recoverable, long, latest, ordered := topic(engine.Recoverable), topic(engine.Recoverable), topic(engine.Latest), topic(engine.Ordered)
	long.TTL = 20 * 24 * time.Hour
	large := strings.Repeat("x", 10_000)
	for _, top := range []engine.Topic{recoverable, long, latest, ordered} {
		n.publish(top, "1", large)
		if err := n.Publish(within(t), top, engine.Event{ID: "id", Data: []byte("2")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2500 { // more than one step
		if err := n.Put(within(t), engine.Entry{Group: "g", Member: fmt.Sprint(i), Owner: "o", Lasts: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Renew(within(t), "o", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := n.Put(within(t), engine.Entry{Group: "g", Member: "m", Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Keep(within(t), "k", []byte("v"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for i := range 2500 { // more than one step
		if _, err := n.Save(within(t), fmt.Sprint("short ", i), nil, 0, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	for member, ttl := range map[string]time.Duration{"short": time.Millisecond, "long": time.Hour} {
		if _, err := n.Save(within(t), member, nil, 0, ttl); err != nil {
			t.Fatal(err)
		}
		if err := n.Join(within(t), "g", member, ttl); err != nil {
			t.Fatal(err)
		}
	}
	tables := []string{"events", "events_long", "latest", "ids", "payloads", "owners", "graves", "entries", "kept", "records", "members", "topics"}
	left := func() string {
		var counts []string
		for _, table := range tables {
			counts = append(counts, "'"+table+" ' || (SELECT count(*) FROM kanava."+table+")")
		}
		return s.do("SELECT concat_ws(', ', " + strings.Join(counts, ", ") + ")")
	}
	tend := func() {
		s.do("UPDATE kanava.tending SET at = 'epoch'")
		for range 10 {
			s.do("SELECT kanava.partitions()")
			if s.do("SELECT kanava.tend()") == "f" {
				break
			}
		}
		for s.do("SELECT kanava.tend_store()") == "t" {
		}
	}
	tend()
	if got, want := left(), "events 6, events_long 3, latest 1, ids 4, payloads 2, owners 1, graves 0, entries 1, kept 0, records 1, members 1, topics 4"; got != want {
		t.Errorf("what is used is not kept: %s, want %s", got, want)
	}
	// Time passes: what there is was earlier.
	s.do(`UPDATE kanava.events_long SET ends = ends - interval '30 days'; UPDATE kanava.latest SET at = at - interval '30 days';
		UPDATE kanava.ids SET at = at - interval '30 days'; UPDATE kanava.payloads SET at = at - interval '30 days';
		UPDATE kanava.owners SET ends = ends - interval '30 days'; UPDATE kanava.topics SET keep = keep - interval '60 days';
		UPDATE kanava.records SET ends = ends - interval '30 days'; UPDATE kanava.members SET ends = ends - interval '30 days'`)
	old := s.do("SELECT kanava.partition_of(kanava.day(now()) - 1)")
	today := s.do("SELECT kanava.partition_of(kanava.day(now() + interval '1 hour'))")
	s.do("ALTER TABLE kanava.events DETACH PARTITION kanava." + today + "; ALTER TABLE kanava." + today + " RENAME TO " + old +
		"; UPDATE kanava." + old + " SET day = day - 2; ALTER TABLE kanava.events ATTACH PARTITION kanava." + old +
		" FOR VALUES FROM (" + s.do("SELECT kanava.day(now()) - 3") + ") TO (" + s.do("SELECT kanava.day(now())") + ")")
	tend()
	if got, want := left(), "events 0, events_long 0, latest 0, ids 0, payloads 0, owners 0, graves 0, entries 0, kept 0, records 0, members 0, topics 0"; got != want {
		t.Errorf("what has ended is kept: %s, want %s", got, want)
	}
	n.publish(recoverable, "after") // the partition is there again
	if page := n.read(recoverable, engine.Position{}); len(page.Events) != 1 {
		t.Errorf("%q are kept", texts(page.Events))
	}
}
