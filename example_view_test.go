package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// View shows each role what it may see. An event is made once for each role,
// not for each subscriber.
func ExampleView() {
	type User struct{ Role string }
	type Order struct {
		Item   string `json:"item"`
		Margin int    `json:"margin,omitzero"`
		Draft  bool   `json:"draft,omitzero"`
	}
	role := func(u User) string { return u.Role }
	show := func(o Order, role string) (Order, bool) {
		if role == "sales" {
			return o, true
		}
		o.Margin = 0
		return o, !o.Draft
	}
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, req *kanava.OpenRequest) (*User, error) { return &User{req.Token}, nil },
	})
	orders := kanava.NewTopic[Order](srv.EventHub(), "orders", kanava.View(role, show))
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "shop", Route: "/shop",
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[kanava.None, User]) (kanava.None, error) {
			return kanava.None{}, orders.Subscribe(ctx, ch, "all")
		}),
		Messages: kanava.By("action", kanava.OnDo("ready", func(context.Context, *kanava.Channel[kanava.None, User], kanava.None) error { return nil })),
		Declares: []kanava.Declared{orders},
	})
	sales, _ := connectAs(srv, "/shop", "sales")
	guest, _ := connectAs(srv, "/shop", "guest")
	sales.ask(`{"action":"ready"}`)
	guest.ask(`{"action":"ready"}`)
	ctx := context.Background()
	_ = orders.Publish(ctx, "all", Order{"tea", 30, true})
	_ = orders.Publish(ctx, "all", Order{"cup", 40, false})
	fmt.Println(sales.next())
	fmt.Println(sales.next())
	fmt.Println(guest.next())
	sales.leave()
	guest.leave()
	// Output:
	// {"topic":"orders:all","data":{"item":"tea","margin":30,"draft":true}}
	// {"topic":"orders:all","data":{"item":"cup","margin":40}}
	// {"topic":"orders:all","data":{"item":"cup"}}
}
