package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

// entriesMost is how many entries of a group are read at once: they may have 64
// KiB each.
const entriesMost = 64

// Renew implements [engine.Registry].
func (e *Engine) Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	runs := 0
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		runs++
		return conn.QueryRow(ctx, e.sql("SELECT {schema}.renew($1::bytea, $2::bigint)"), []byte(owner), ttlMillis(ttl)).Scan(&held)
	})
	if err != nil {
		return false, fmt.Errorf("postgres: renew: %w", err)
	}
	// A run whose answer was lost may have begun the lease that the next one found.
	return held && runs == 1, nil
}

// Owners implements [engine.Registry].
func (e *Engine) Owners(ctx context.Context) ([]string, error) {
	var owners []string
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		owners = nil
		rows, err := conn.Query(ctx, e.sql("SELECT owner FROM {schema}.owners WHERE ends > now()"))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner []byte
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			owners = append(owners, string(owner))
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: owners: %w", err)
	}
	return owners, nil
}

// Put implements [engine.Registry].
func (e *Engine) Put(ctx context.Context, en engine.Entry) error {
	lasts := int64(0)
	if en.Lasts > 0 {
		lasts = ttlMillis(en.Lasts)
	}
	value := en.Value
	if value == nil {
		value = []byte{}
	}
	if err := e.exec(ctx, "SELECT {schema}.put($1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::bigint)", []byte(en.Group), []byte(en.Member), []byte(en.Owner), value, lasts); err != nil {
		return fmt.Errorf("postgres: put: %w", err)
	}
	return nil
}

// Entries implements [engine.Registry].
func (e *Engine) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return func(yield func(engine.Entry, error) bool) {
		last := engine.Entry{}
		for {
			page, err := e.entriesAfter(ctx, group, last)
			if err != nil {
				yield(engine.Entry{}, fmt.Errorf("postgres: entries: %w", err))
				return
			}
			for _, en := range page {
				if !yield(en, nil) {
					return
				}
			}
			if len(page) < entriesMost {
				return
			}
			last = page[len(page)-1]
		}
	}
}

// entriesAfter returns some entries of a group, those that follow another.
func (e *Engine) entriesAfter(ctx context.Context, group string, last engine.Entry) (page []engine.Entry, err error) {
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		page = nil
		rows, err := conn.Query(ctx, e.sql("SELECT member, owner, value FROM {schema}.entries($1::bytea, $2::bytea, $3::bytea, $4::int)"),
			[]byte(group), []byte(last.Member), []byte(last.Owner), entriesMost)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var member, owner []byte
			en := engine.Entry{Group: group}
			if err := rows.Scan(&member, &owner, &en.Value); err != nil {
				return err
			}
			en.Member, en.Owner = string(member), string(owner)
			page = append(page, en)
		}
		return rows.Err()
	})
	return page, err
}

// Keep implements [engine.Registry].
func (e *Engine) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) (kept []byte, err error) {
	if value == nil {
		value = []byte{}
	}
	if err := e.row(ctx, &kept, "SELECT {schema}.keep($1::bytea, $2::bytea, $3::bigint)", []byte(key), value, ttlMillis(ttl)); err != nil {
		return nil, fmt.Errorf("postgres: keep: %w", err)
	}
	return kept, nil
}

// Forget implements [engine.Registry].
func (e *Engine) Forget(ctx context.Context, key string) error {
	if err := e.exec(ctx, "DELETE FROM {schema}.kept WHERE key = $1::bytea", []byte(key)); err != nil {
		return fmt.Errorf("postgres: forget: %w", err)
	}
	return nil
}

// row runs a statement that returns one value.
func (e *Engine) row(ctx context.Context, out any, statement string, args ...any) error {
	return e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, e.sql(statement), args...).Scan(out)
	})
}

// exec runs a statement that returns nothing of interest.
func (e *Engine) exec(ctx context.Context, statement string, args ...any) error {
	return e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, e.sql(statement), args...)
		return err
	})
}
