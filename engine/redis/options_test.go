package redis_test

import (
	"strings"
	"testing"

	"github.com/kanava-go/kanava/engine/redis"
)

func TestOptionsThatCannotBeMeant(t *testing.T) {
	addr := []string{"localhost:6379"}
	for what, opts := range map[string]redis.Options{
		"no address":                   {},
		"an address without a port":    {Addrs: []string{"localhost"}},
		"an address without a host":    {Addrs: []string{":6379"}},
		"a database below 0":           {Addrs: addr, DB: -1},
		"a database of a cluster":      {Addrs: []string{"a:1", "b:1"}, DB: 1},
		"a name without a password":    {Addrs: addr, Username: "ann"},
		"sentinels without a master":   {Addrs: addr, SentinelPassword: "secret"},
		"braces, which make slots":     {Addrs: addr, Prefix: "a{b}"},
		"a URL in place of an address": {Addrs: []string{"redis://secret@localhost:6379"}},
	} {
		e, err := redis.New(opts)
		if err == nil || e != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "redis: options: ") {
			t.Errorf("%s: the error %q does not say where it is from", what, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error %q has a password", what, err)
		}
	}
}
