package postgres_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// An engine keeps connections, too: where a gateway has them, and no process lives
// as long as they do, it is both the hub's engine and the store. The hub starts it.
func ExampleEngine_Save() {
	e, err := postgres.New(postgres.Options{URL: "postgres://chat@db.example.com/chat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	var store engine.Store = e
	_, err = store.Save(context.Background(), "conn", []byte("{}"), 0, 2*time.Hour)
	fmt.Println(err)
	// Output: postgres: save: not started
}
