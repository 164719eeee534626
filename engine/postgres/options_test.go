package postgres_test

import (
	"strings"
	"testing"

	"github.com/kanava-go/kanava/engine/postgres"
)

func TestOptionsThatCannotBeMeant(t *testing.T) {
	const url = "postgres://chat:secret@localhost/chat"
	for what, opts := range map[string]postgres.Options{
		"no URL":                         {},
		"a URL of something else":        {URL: "redis://chat:secret@localhost:70000"},
		"a port that is none":            {URL: "postgres://chat:secret@localhost:port/chat"},
		"another URL that is none":       {URL: url, ListenURL: "postgres://chat:secret@localhost:port/chat"},
		"a schema with upper case":       {URL: url, Schema: "Kanava"},
		"a schema that is a statement":   {URL: url, Schema: "a; DROP SCHEMA public"},
		"a schema that begins with one":  {URL: url, Schema: "1a"},
		"a schema with a line after it":  {URL: url, Schema: "a\n"},
		"a schema of the server's":       {URL: url, Schema: "pg_kanava"},
		"a schema of more than 40 bytes": {URL: url, Schema: strings.Repeat("a", 41)},
		"fewer connections than 4":       {URL: url, Conns: 3},
		"too many connections":           {URL: url, Conns: 1001},
	} {
		e, err := postgres.New(opts)
		if err == nil || e != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "postgres: options: ") {
			t.Errorf("%s: the error %q does not say where it is from", what, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error %q has a password", what, err)
		}
	}
}
