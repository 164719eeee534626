package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say which database to use, and how.
type Options struct {
	// URL names the database and says how to sign in, as a connection URL or as
	// keywords and values: see [pgxpool.ParseConfig]. It leads to a server that
	// takes writes; several hosts with target_session_attrs=read-write find it.
	URL string

	// ListenURL is for the one connection of a node by which events come, which has
	// to last: it goes past a pooler that URL leads to, which may give each
	// transaction another one. Nothing is prepared on connections then. It signs in
	// with the role of URL: others may not end the connection of a node that takes no
	// events, for which the server keeps them all. "" is URL.
	ListenURL string

	// Schema is where all tables and functions are, and what names of channels begin
	// with: a lower-case letter or _, then also digits, 40 bytes at most, and no pg_ at
	// the beginning. Programs with different ones do not notice each other. "" is
	// "kanava".
	Schema string

	// Conns is how many connections a node has at most, besides the one by which
	// events come: 4 to 1,000. 0: 8.
	Conns int

	// NoMigrate leaves it to the operator to call [Migrate] before a program of a
	// new version starts: the engine's user needs no right to make tables then. By
	// default engines do it when they connect.
	NoMigrate bool

	// Logger is told what an operator should know. nil: slog.Default().
	Logger *slog.Logger
}

const (
	dialTime = 5 * time.Second        // to connect and sign in
	idleTime = 100 * time.Millisecond // a connection that was not used for so long is tried before it is
)

var goodSchema = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// complete puts defaults in, or returns what cannot be meant.
func (o *Options) complete() error {
	if o.URL == "" {
		return errors.New("no URL")
	}
	if o.Schema == "" {
		o.Schema = "kanava"
	}
	if err := checkSchema(o.Schema); err != nil {
		return err
	}
	switch {
	case o.Conns == 0:
		o.Conns = 8
	case o.Conns < 4 || o.Conns > 1000:
		return fmt.Errorf("%d connections", o.Conns)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

func checkSchema(name string) error {
	if !goodSchema.MatchString(name) {
		return fmt.Errorf("the schema %q is not a lower-case name of 40 bytes at most", name)
	}
	if strings.HasPrefix(name, "pg_") {
		return fmt.Errorf("the schema %q has a name that PostgreSQL keeps for itself", name)
	}
	return nil
}

// pool returns how the pool is made; ready is called with each new connection.
func (o *Options) pool(ready func(ctx context.Context, conn *pgx.Conn) error) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, notParsed("URL")
	}
	identify(c.ConnConfig, "kanava")
	c.MaxConns = int32(o.Conns)
	c.MinConns, c.MinIdleConns = 0, 0
	if o.ListenURL != "" && c.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	c.PingTimeout = 3 * time.Second
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > idleTime }
	c.AfterConnect = ready
	return c, nil
}

// listener returns how the connection is made by which events come.
func (o *Options) listener() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(cmp.Or(o.ListenURL, o.URL))
	if err != nil {
		return nil, notParsed("ListenURL")
	}
	identify(c, listenerName)
	return c, nil
}

// notParsed keeps passwords out of errors.
func notParsed(what string) error {
	return fmt.Errorf("%s is not what names a database", what)
}

// listenerName tells the server's operator, and other nodes, which connections
// events come by.
const listenerName = "kanava listener"

func identify(c *pgx.ConnConfig, name string) {
	c.ConnectTimeout = dialTime
	if c.RuntimeParams["application_name"] == "" || name == listenerName {
		c.RuntimeParams["application_name"] = name
	}
}
