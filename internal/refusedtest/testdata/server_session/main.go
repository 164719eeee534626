// A server is wired with a channel that has another session than the server.
// want: (value of struct type kanava.Wiring[Params, Admin]) as kanava.Definition[User] value in argument to srv.Wire
package main

import "github.com/kanava-go/kanava"

type (
	Params struct{ Room string }
	User   struct{ ID string }
	Admin  struct{ ID string }
)

func main() {
	srv := kanava.NewServer(kanava.Options[User]{})
	srv.Wire(kanava.Wiring[Params, Admin]{Name: "room", Route: "/room"})
}
