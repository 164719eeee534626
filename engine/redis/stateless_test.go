package redis_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/redis"
)

func TestStateless(t *testing.T) {
	addr := newServer(t).addr
	enginetest.RunStateless(t, backend(addr, redis.Options{}), stores(addr, redis.Options{}).New)
}
