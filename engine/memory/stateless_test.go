package memory_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/memory"
)

func TestStateless(t *testing.T) {
	enginetest.RunStateless(t, backend(), func(testing.TB) engine.Store { return memory.NewStore() })
}
