package redis_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/redis"
)

func TestStateless(t *testing.T) {
	b := backend(newServer(t).addr, redis.Options{})
	enginetest.RunStateless(t, b, stores(b).New)
}
