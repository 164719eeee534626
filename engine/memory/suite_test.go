package memory_test

import (
	"sync"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/memory"
)

func TestSuite(t *testing.T) { enginetest.Run(t, backend()) }

func backend() enginetest.Backend {
	b := memory.New()
	var mu sync.Mutex
	var all []*memory.Engine // guarded by mu
	return enginetest.Backend{
		New: func(testing.TB) engine.Engine {
			e := b.Engine()
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
			return e
		},
		Cut: func(_ testing.TB, e engine.Engine) (heal func()) {
			e.(*memory.Engine).Cut()
			return e.(*memory.Engine).Heal
		},
		Restart: func(_ testing.TB, keepData bool) {
			for _, e := range all {
				e.Cut()
			}
			if !keepData {
				b.Wipe()
			}
			for _, e := range all {
				e.Heal()
			}
		},
		Wipe: func(testing.TB) { b.Wipe() },
	}
}
