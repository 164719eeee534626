package postgres_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/postgres"
)

// A program gives the engine to its hub, as HubOptions.Engine.
func ExampleNew() {
	_, err := postgres.New(postgres.Options{URL: "postgres://chat@db.example.com/chat?sslmode=verify-full"})
	fmt.Println(err)
	// Output: <nil>
}

// Behind a pooler that gives each transaction another connection, events come past
// it.
func ExampleNew_pooler() {
	_, err := postgres.New(postgres.Options{
		URL:       "postgres://chat@pooler.example.com:6432/chat",
		ListenURL: "postgres://chat@db.example.com:5432/chat",
	})
	fmt.Println(err)
	// Output: <nil>
}

// An order and the event of it are there, both or neither. The topic is one of a hub
// with the engine.
func ExamplePublishTx() {
	type OrderPaid struct {
		Cents int `json:"cents"`
	}
	const url = "postgres://shop@db.example.com/shop?sslmode=verify-full"
	joins, err := postgres.New(postgres.Options{URL: url})
	if err != nil {
		fmt.Println(err)
		return
	}
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: joins})
	defer hub.Close()
	orders := kanava.NewTopic[OrderPaid](hub, "order", kanava.Recoverable(100, 24*time.Hour))

	pay := func(ctx context.Context, db *pgxpool.Pool, order string, cents int) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE orders SET paid = $1 WHERE id = $2", cents, order); err != nil {
				return err
			}
			return postgres.PublishTx(ctx, tx, orders, order, OrderPaid{cents})
		})
	}
	fmt.Println("pay is called with a pool of the program's:", pay != nil)
	// Output: pay is called with a pool of the program's: true
}
