package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

// pageBytes is how many bytes of events Read returns, as a rule.
const pageBytes = 1 << 20

var errForm = errors.New("an event is in a form that this version does not know")

// Read implements [engine.Broker].
func (e *Engine) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	var page engine.Page
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		page, err = e.read(ctx, conn, t, since, max(limit, 0))
		return err
	})
	if err != nil {
		return engine.Page{}, fmt.Errorf("postgres: read: %w", err)
	}
	return page, nil
}

func (e *Engine) read(ctx context.Context, conn *pgx.Conn, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	if t.Class == engine.Ordered {
		at, err := e.positions(ctx, conn, []engine.Topic{t})
		if err != nil {
			return engine.Page{}, err
		}
		return engine.Page{At: at[0], Lost: since != at[0]}, nil
	}
	page, err := e.readPage(ctx, conn, t, since, limit)
	if errors.Is(err, pgx.ErrNoRows) {
		if err := e.makeTopics(ctx, conn, [][]byte{[]byte(t.Name)}); err != nil {
			return engine.Page{}, err
		}
		page, err = e.readPage(ctx, conn, t, since, limit)
	}
	return page, err
}

// readPage reads a page. The error is pgx.ErrNoRows if the topic has no row.
func (e *Engine) readPage(ctx context.Context, conn *pgx.Conn, t engine.Topic, since engine.Position, limit int) (page engine.Page, err error) {
	// Beyond 2^53 nothing has an offset.
	rows, err := conn.Query(ctx, e.sql("SELECT epoch, seq, at, body FROM {schema}.read($1::bytea, $2::text, $3::text, $4::bigint, $5::int, $6::bigint)"),
		[]byte(t.Name), classes[t.Class], since.Epoch, int64(min(since.Offset, 1<<53)), min(limit, 1<<20), pageBytes)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	for rows.Next() {
		var epoch *string
		var seq int64
		var at *time.Time
		var body []byte
		if err := rows.Scan(&epoch, &seq, &at, &body); err != nil {
			return page, err
		}
		switch {
		case epoch != nil:
			page.At = engine.Position{Epoch: *epoch, Offset: uint64(seq)}
		case seq == 0:
			page.More = true
		default:
			ev := engine.Event{At: engine.Position{Epoch: page.At.Epoch, Offset: uint64(seq)}, Prev: uint64(seq - 1)}
			if at != nil {
				ev.Time = *at
			}
			if !parseBody(&ev, body) {
				return page, finalError{errForm}
			}
			page.Events = append(page.Events, ev)
		}
	}
	if err := rows.Err(); err != nil {
		return page, err
	}
	if page.At.Epoch == "" {
		return page, pgx.ErrNoRows
	}
	complete(&page, t.Class, since)
	return page, nil
}

// complete finds out what is lost, and leaves out what is before it.
func complete(page *engine.Page, class engine.Class, since engine.Position) {
	fresh := since == engine.Position{}
	other := since.Epoch != page.At.Epoch
	page.Lost = other && !fresh
	if class != engine.Recoverable {
		return
	}
	want := since.Offset + 1
	if !other && since.Offset > page.At.Offset { // nobody has given it that
		page.Lost, want = true, 1
	}
	if other {
		want = 1
	}
	begin := 0
	for i, ev := range page.Events {
		if ev.At.Offset != want {
			begin = i
			page.Lost = !fresh
		}
		want = ev.At.Offset + 1
	}
	page.Events = page.Events[begin:]
	if !page.More && want <= page.At.Offset {
		page.Events = nil
		page.Lost = !fresh
	}
}
