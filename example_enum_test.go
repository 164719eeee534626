package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// Role is one of the constants below.
type Role string

const (
	RoleAdmin Role = "admin"
	RoleGuest Role = "guest"
)

var _ = kanava.Enum(RoleAdmin, RoleGuest)

type Invitation struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// An enum is checked wherever its type stands: here as a member and as the key
// of a map.
func ExampleEnum() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	invite := func(_ context.Context, _ *Line, in map[Role][]Invitation) (int, error) { return len(in), nil }
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "invite", Route: "/invite", Public: true,
		OnMessage: kanava.Func(invite),
	})
	client := connect(srv, "/invite")
	defer client.leave()
	fmt.Println(client.ask(`{"admin":[{"name":"Aino","role":"guest"}]}`))
	fmt.Println(client.ask(`{"admin":[{"name":"Eino","role":"boss"}]}`))
	fmt.Println(client.ask(`{"boss":[]}`))
	// Output:
	// 1
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/admin/0/role","message":"must be one of \"admin\", \"guest\""}]}}
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/boss","message":"the name must be one of \"admin\", \"guest\""}]}}
}
