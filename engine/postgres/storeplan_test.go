package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine/postgres"
)

// TestStoreScansNoTable is that a store finds what it looks for by an index, also in
// tables that the server thinks are small, and changes records in place.
func TestStoreScansNoTable(t *testing.T) {
	s := newServer(t, "-c", "fsync=off", "-c", "autovacuum=off")
	if err := migrate(t, s, ""); err != nil { // which reads tables to make indexes
		t.Fatal(err)
	}
	n := join(t, postgres.Options{URL: s.url()})
	useStore(t, n)
	s.do("ANALYZE kanava.records; ANALYZE kanava.members")
	s.do(`INSERT INTO kanava.records SELECT ('r' || i)::bytea, 1, now() + interval '1 hour', 'x' FROM generate_series(1, 20000) i;
		INSERT INTO kanava.members SELECT ('g' || i % 4)::bytea, ('m' || i)::bytea, now() + interval '1 hour' FROM generate_series(1, 20000) i`)
	s.do("SELECT pg_stat_reset()")
	version := uint64(1)
	for i := range 100 {
		var err error
		if version, err = n.Save(within(t), "r7", []byte(fmt.Sprint(i)), version, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	number := 0
	for _, err := range n.Members(within(t), "g1") {
		if err != nil {
			t.Fatal(err)
		}
		number++
	}
	if number != 5000 {
		t.Errorf("%d members", number)
	}
	useStore(t, n)
	s.do("SELECT kanava.tend_store()")
	if err := n.Close(within(t)); err != nil { // then the server has counted all
		t.Fatal(err)
	}
	counts := func(column string) string {
		return s.do("SELECT sum(" + column + ") FROM pg_stat_user_tables WHERE relname IN ('records', 'members')")
	}
	s.eventually("count of what was done", func() bool {
		return s.do("SELECT n_tup_upd >= 101 FROM pg_stat_user_tables WHERE relname = 'records'") == "t"
	})
	if got := counts("seq_scan"); got != "0" {
		t.Errorf("tables were read from end to end %s times", got)
	}
	if got := s.do("SELECT n_tup_hot_upd > 95 FROM pg_stat_user_tables WHERE relname = 'records'"); got != "t" {
		t.Errorf("%s of 101 times records were changed in place", counts("n_tup_hot_upd"))
	}
}
