package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
)

// membersMost is how many members are read at once: they may have 512 bytes each.
const membersMost = 1000

// Join implements [engine.Store].
func (e *Engine) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	if err := e.exec(ctx, "SELECT {schema}.join_group($1::bytea, $2::bytea, $3::bigint)", []byte(group), []byte(member), lasting(ttl)); err != nil {
		return fmt.Errorf("postgres: join: %w", err)
	}
	return nil
}

// Leave implements [engine.Store].
func (e *Engine) Leave(ctx context.Context, group, member string) error {
	if err := e.exec(ctx, "SELECT {schema}.leave_group($1::bytea, $2::bytea)", []byte(group), []byte(member)); err != nil {
		return fmt.Errorf("postgres: leave: %w", err)
	}
	return nil
}

// Members implements [engine.Store]. It returns members in the order of their bytes,
// and has no connection while somebody looks at one.
func (e *Engine) Members(ctx context.Context, group string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for {
			page, err := e.membersAfter(ctx, group, last)
			if err != nil {
				yield("", fmt.Errorf("postgres: members: %w", err))
				return
			}
			for _, member := range page {
				if !yield(member, nil) {
					return
				}
			}
			if len(page) < membersMost {
				return
			}
			last = page[len(page)-1]
		}
	}
}

// membersAfter returns some members of a group, those that follow another.
func (e *Engine) membersAfter(ctx context.Context, group, last string) (page []string, err error) {
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		page = make([]string, 0, membersMost)
		rows, err := conn.Query(ctx, e.sql("SELECT {schema}.members($1::bytea, $2::bytea, $3::int)"), []byte(group), []byte(last), membersMost)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var member []byte
			if err := rows.Scan(&member); err != nil {
				return err
			}
			page = append(page, string(member))
		}
		return rows.Err()
	})
	return page, err
}
