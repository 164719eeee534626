package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the steps that make the schema, in order: the version of each is
// its place, from 1.
var migrations = func() []string {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		panic(err)
	}
	steps := make([]string, len(names))
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%04d_", i+1)) {
			panic("postgres: a migration is missing before " + name)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		steps[i] = string(text)
	}
	return steps
}()

// Migrate makes a schema what this version of the engine needs ("" is "kanava"),
// in one transaction: it takes the steps that have not been taken, and none if the
// schema is that of a newer version. Several at once wait for each other. Engines
// call it by themselves, unless Options.NoMigrate is set.
func Migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	if schema == "" {
		schema = "kanava"
	}
	if err := checkSchema(schema); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	if err := migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}

func migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", schema+".migrations"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, inSchema(schema, `CREATE SCHEMA IF NOT EXISTS {schema};
		CREATE TABLE IF NOT EXISTS {schema}.migrations (version int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`), pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	version := 0
	if err := tx.QueryRow(ctx, inSchema(schema, "SELECT coalesce(max(version), 0) FROM {schema}.migrations")).Scan(&version); err != nil {
		return err
	}
	for i := version; i < len(migrations); i++ {
		if _, err := tx.Exec(ctx, inSchema(schema, migrations[i]), pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if _, err := tx.Exec(ctx, inSchema(schema, "INSERT INTO {schema}.migrations (version) VALUES ($1::int)"), i+1); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// inSchema puts the name of a schema into statements, in quotes, for it may be a
// word of SQL. It has none itself: it is checked.
func inSchema(schema, text string) string {
	return strings.ReplaceAll(text, "{schema}", `"`+schema+`"`)
}

// sql puts the schema into a statement.
func (e *Engine) sql(text string) string { return inSchema(e.opts.Schema, text) }

var errOldSchema = errors.New("the schema is not there, or not that of this version: call Migrate, or leave NoMigrate false")

// enter is called with each new connection: it makes the schema if it may, and
// lets the server see whether data is what it was.
func (e *Engine) enter(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTime)
	defer cancel()
	version, err := 0, error(nil)
	for range 2 {
		seen := e.log.seen()
		var at *string
		err = conn.QueryRow(ctx, e.sql("SELECT (SELECT coalesce(max(version), 0) FROM {schema}.migrations), {schema}.enter($1::text::pg_lsn)::text"), seen).Scan(&version, &at)
		if err == nil && version >= len(migrations) {
			e.log.entered(seen, at)
			e.entered.Store(true)
			return nil
		}
		if err != nil && !undefined(err) {
			return err
		}
		if e.opts.NoMigrate {
			return errOldSchema
		}
		if err := migrate(ctx, conn, e.opts.Schema); err != nil {
			return err
		}
	}
	if err == nil {
		err = errOldSchema
	}
	return err
}
