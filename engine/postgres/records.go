package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

// errOverwritten is the error of Save when a first answer was lost, and another
// record is there at the second try: it may be of who has read the first.
var errOverwritten = errors.New("an answer was lost, and another record has come since")

// Load implements [engine.Store].
func (e *Engine) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	names := make([][]byte, len(ids))
	for i, id := range ids {
		names[i] = []byte(id)
	}
	var records []engine.Record
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		records = make([]engine.Record, len(ids))
		rows, err := conn.Query(ctx, e.sql("SELECT n, version, data FROM {schema}.load($1::bytea[])"), names)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n, version int64
			var data []byte
			if err := rows.Scan(&n, &version, &data); err != nil {
				return err
			}
			records[n-1] = engine.Record{Data: data, Version: uint64(version)}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: load: %w", err)
	}
	return records, nil
}

// Save implements [engine.Store].
func (e *Engine) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (saved uint64, err error) {
	// Versions are drawn, so that none comes again, also in data from a backup.
	for saved == 0 || saved == version {
		saved = rand.Uint64() >> 1 //nolint:gosec // tells records apart, and is no secret
	}
	if err := e.save(ctx, id, data, version, saved, ttl); err != nil {
		return 0, fmt.Errorf("postgres: save: %w", err)
	}
	return saved, nil
}

func (e *Engine) save(ctx context.Context, id string, data []byte, version, saved uint64, ttl time.Duration) error {
	if data == nil {
		data = []byte{}
	}
	kept, unclear := false, false
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, e.sql("SELECT {schema}.save($1::bytea, $2::bigint, $3::bigint, $4::bytea, $5::bigint)"),
			[]byte(id), int64(version), int64(saved), data, lasting(ttl)).Scan(&kept)
		unclear = unclear || maybeDone(err)
		return err
	})
	switch {
	case err != nil:
		return err
	case !kept && unclear:
		return errOverwritten
	case !kept:
		return engine.ErrConflict
	}
	return nil
}

// Delete implements [engine.Store].
func (e *Engine) Delete(ctx context.Context, id string) (was engine.Record, err error) {
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var version int64
		err := conn.QueryRow(ctx, e.sql("SELECT version, data FROM {schema}.remove($1::bytea)"), []byte(id)).Scan(&version, &was.Data)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case maybeDone(err): // a second try could not tell what the first has deleted
			return finalError{err}
		}
		was.Version = uint64(version)
		return err
	})
	if err != nil {
		return engine.Record{}, fmt.Errorf("postgres: delete: %w", err)
	}
	return was, nil
}

// maybeDone tells whether what has failed may have been done.
func maybeDone(err error) bool { return err != nil && !undone(err) && !undefined(err) }

// lasting is a time as the schema wants it in which nothing is to end: it knows whole
// milliseconds only.
func lasting(ttl time.Duration) int64 { return ttlMillis(min(ttl, ttlMost)) + 1 }
