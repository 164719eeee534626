package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestErrors is which errors say that nothing is left behind, and which ones that
// something may succeed another time.
func TestErrors(t *testing.T) {
	server := func(code, file string) error { return fmt.Errorf("x: %w", &pgconn.PgError{Code: code, File: file}) }
	for _, c := range []struct {
		what           string
		err            error
		undone, passes bool
	}{
		{"no room for notifications", server("54000", "async.c"), true, true},
		{"a name that no index takes", server("54000", "nbtutils.c"), false, false},
		{"two that waited for each other", server("40P01", "deadlock.c"), true, true},
		{"a server that ends", server("57P01", "postgres.c"), false, true},
		{"a statement that is none", server("42601", "scan.l"), false, false},
		{"a connection that ended", errors.New("EOF"), false, true},
		{"an answer of another version", fmt.Errorf("x: %w", finalError{errForm}), false, false},
		{"no connection", notSentError{errors.New("refused")}, true, true},
	} {
		if undone(c.err) != c.undone || passes(c.err) != c.passes {
			t.Errorf("%s: undone %v, passes %v", c.what, undone(c.err), passes(c.err))
		}
	}
}
