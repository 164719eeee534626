package memory_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// A record is changed in the place of the version that was read; who was slower
// reads it again.
func ExampleStore() {
	ctx := context.Background()
	store := memory.NewStore()
	first, err := store.Save(ctx, "conn", []byte("first"), 0, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := store.Save(ctx, "conn", []byte("second"), first, time.Hour); err != nil {
		fmt.Println(err)
	}
	_, err = store.Save(ctx, "conn", []byte("too late"), first, time.Hour)
	fmt.Println(errors.Is(err, engine.ErrConflict))

	records, err := store.Load(ctx, []string{"conn"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", records[0].Data)
	// Output:
	// true
	// second
}
