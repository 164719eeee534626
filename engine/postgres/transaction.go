package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
)

// Tx is a transaction of a program's: a [pgx.Tx], or what [SQL] makes of a
// [sql.Tx].
type Tx interface {
	QueryRow(ctx context.Context, statement string, args ...any) pgx.Row
}

// SQL makes a Tx of a transaction of database/sql.
func SQL(tx *sql.Tx) Tx { return sqlTx{tx} }

type sqlTx struct{ tx *sql.Tx }

func (t sqlTx) QueryRow(ctx context.Context, statement string, args ...any) pgx.Row {
	return t.tx.QueryRowContext(ctx, statement, args...)
}

// PublishTx publishes an event of a topic, whose hub has an engine of this
// package, in a transaction: it is seen by anybody if and only if that commits, in
// the order of commits. The transaction is one of the database that the engine
// uses, by a user who may use its schema.
//
// The transaction has the topic from then on: who publishes to the same key waits
// until it ends, so it should end soon. That is until ctx ends, which may end the
// transaction's connection, too. Transactions that publish to several keys
// do so in the same order, or one of them may be broken off as a deadlock. One
// that is not "read committed" may fail with 40001, as by any row that two change,
// and is tried again.
//
// The errors are those of [kanava.Topic.Publish], apart from those of an engine
// that does not answer, and those of the transaction. [kanava.Once] works as there.
func PublishTx[T any](ctx context.Context, tx Tx, topic *kanava.Topic[T], key string, event T, opts ...kanava.PublishOption) error {
	return topic.PublishBy(ctx, key, event, func(ctx context.Context, en engine.Engine, t engine.Topic, ev engine.Event) error {
		e, ok := en.(*Engine)
		if !ok {
			return fmt.Errorf("postgres: publish in a transaction: the engine of the hub is a %T", en)
		}
		return e.PublishTx(ctx, tx, t, ev)
	}, opts...)
}

// PublishTx is what the function of this name does, for who uses the engine
// without a hub.
func (e *Engine) PublishTx(ctx context.Context, tx Tx, t engine.Topic, ev engine.Event) error {
	if err := e.publishTx(ctx, tx, t, &ev); err != nil {
		return fmt.Errorf("postgres: publish in a transaction: %w", err)
	}
	return nil
}

// errNewTopic is that a topic has been made after the snapshot of a transaction.
var errNewTopic = errors.New("the transaction does not see the topic, which is newer: try the transaction again")

func (e *Engine) publishTx(ctx context.Context, tx Tx, t engine.Topic, ev *engine.Event) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	p, err := newPublication(t, ev)
	if err != nil {
		return err
	}
	begin := head(t)
	text, fits := inline(begin, p.body)
	body := p.body
	if fits && (t.Class == engine.Ordered || t.Class == engine.Volatile) {
		body = nil
	}
	if t.Class == engine.Volatile {
		begin = volatileHead(t)
	}
	publish := func() (result int, err error) {
		err = tx.QueryRow(ctx, e.sql(`SELECT {schema}.publish_one($1::bytea, $2::text, $3::int, $4::bigint, $5::text, $6::text,
			$7::bytea, $8::bytea, $9::bytea, $10::text)`),
			[]byte(t.Name), classes[t.Class], min(max(t.Size, 1), 1<<30), ttlMillis(t.TTL), e.opts.channel(channelOf(t.Name)), begin,
			p.id, p.key, body, text).Scan(&result)
		return result, err
	}
	if !e.entered.Load() { // without a schema the transaction would fail
		if err := e.call(ctx, func(context.Context, *pgx.Conn) error { return nil }); err != nil {
			return err
		}
	}
	result, err := publish()
	if err != nil || result == published {
		return err
	}
	// Others must not wait for a row that this transaction makes.
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return e.makeTopics(ctx, conn, [][]byte{[]byte(t.Name)})
	})
	if err != nil {
		return err
	}
	if result, err = publish(); err == nil && result != published {
		err = errNewTopic
	}
	return err
}
