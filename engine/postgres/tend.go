package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	tendTime = 30 * time.Second // how often engines look for what has ended
)

// tend makes room in the database, until ctx ends.
func (e *Engine) tend(ctx context.Context) {
	tick := time.NewTicker(tendTime)
	defer tick.Stop()
	for {
		if err := e.tendOnce(ctx); err != nil && ctx.Err() == nil {
			e.opts.Logger.Warn("postgres: what has ended could not be deleted", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tendOnce deletes what has ended, in small steps until nothing is left.
func (e *Engine) tendOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tendTime)
	defer cancel()
	if err := e.freeNotifications(ctx); err != nil {
		return err
	}
	if err := e.exec(ctx, "SELECT {schema}.partitions()"); err != nil {
		return err
	}
	for _, statement := range []string{"SELECT {schema}.tend()", "SELECT {schema}.tend_store()"} {
		for more := true; more; {
			if err := e.row(ctx, &more, statement); err != nil {
				return err
			}
			if more && !pause(ctx, 1) {
				return nil // the next time
			}
		}
	}
	return nil
}

// freeNotifications ends connections of nodes that do not take their events: the
// server keeps these for them, and refuses to take others when it has 8 GB. Such a
// node makes a new connection, when it does anything again.
func (e *Engine) freeNotifications(ctx context.Context) error {
	var ended int
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE pg_notification_queue_usage() > 0.05 AND application_name = $1::text AND usename = current_user
				AND datname = current_database() AND wait_event = 'ClientWrite'`, listenerName).Scan(&ended)
	})
	if ended > 0 {
		e.opts.Logger.Warn("postgres: ended connections of nodes that take no events", "number", ended)
	}
	return err
}
