package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

var errNoRow = errors.New("a topic that was made is not there")

// Positions implements [engine.Broker].
func (e *Engine) Positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	var positions []engine.Position
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		positions, err = e.positions(ctx, conn, topics)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: positions: %w", err)
	}
	return positions, nil
}

func (e *Engine) positions(ctx context.Context, conn *pgx.Conn, topics []engine.Topic) ([]engine.Position, error) {
	names := make([][]byte, len(topics))
	for i, t := range topics {
		names[i] = []byte(t.Name)
	}
	const attempts = 3
	for range attempts {
		positions := make([]engine.Position, len(topics))
		old, missing, err := e.askPositions(ctx, conn, names, positions)
		if err != nil {
			return nil, err
		}
		if unused := slices.Concat(old, missing); len(unused) > 0 {
			if err := e.makeTopics(ctx, conn, unused); err != nil {
				return nil, err
			}
		}
		if len(missing) == 0 {
			return positions, nil
		}
	}
	return nil, errNoRow
}

// askPositions asks for positions. Old are the names of topics whose rows have to
// be told that they are used, missing of those without one.
func (e *Engine) askPositions(ctx context.Context, conn *pgx.Conn, names [][]byte, positions []engine.Position) (old, missing [][]byte, err error) {
	rows, err := conn.Query(ctx, e.sql("SELECT n, epoch, seq, old FROM {schema}.positions($1::bytea[])"), names)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n, seq int64
		var epoch string
		var stale bool
		if err := rows.Scan(&n, &epoch, &seq, &stale); err != nil {
			return nil, nil, err
		}
		positions[n-1] = engine.Position{Epoch: epoch, Offset: uint64(seq)}
		if stale {
			old = append(old, names[n-1])
		}
	}
	for i, at := range positions {
		if at.Epoch == "" {
			missing = append(missing, names[i])
		}
	}
	return old, missing, rows.Err()
}
