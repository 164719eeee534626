package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/memory"
)

func TestStoreSuite(t *testing.T) {
	s := memory.NewStore()
	enginetest.RunStore(t, enginetest.StoreBackend{New: func(testing.TB) engine.Store { return s }})
}

// Nothing that has ended stays in memory when something is written.
func TestStoreSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.NewStore()
		for i := range 100 {
			if _, err := s.Save(t.Context(), fmt.Sprint(i), nil, 0, time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := s.Join(t.Context(), fmt.Sprint("group ", i%10), fmt.Sprint(i), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Kept(); n != 210 {
			t.Errorf("%d things are kept, want 100 records, 100 members and 10 groups", n)
		}
		time.Sleep(2 * time.Minute)
		if err := s.Join(t.Context(), "last", "m", time.Minute); err != nil {
			t.Fatal(err)
		}
		if n := s.Kept(); n != 2 {
			t.Errorf("%d things are kept, want the last member and its group", n)
		}
		if err := s.Leave(t.Context(), "last", "m"); err != nil || s.Kept() != 0 {
			t.Errorf("when the last has left %d things are kept, %v", s.Kept(), err)
		}
	})
}

func BenchmarkStore(b *testing.B) { enginetest.BenchStore(b, memory.NewStore()) }
