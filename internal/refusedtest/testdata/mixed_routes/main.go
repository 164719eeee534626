// The routes of two channels stand in one By.
// want: type kanava.Route[GameParams, User] of kanava.OnDo("move", Move) does not match inferred type kanava.Route[RoomParams, User]
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	RoomParams struct{ Room string }
	GameParams struct{ Game string }
	User       struct{ ID string }
	Text       struct{ Message string }
)

func Say(ctx context.Context, ch *kanava.Channel[RoomParams, User], in Text) error  { return nil }
func Move(ctx context.Context, ch *kanava.Channel[GameParams, User], in Text) error { return nil }

var routes = kanava.By("action", kanava.OnDo("say", Say), kanava.OnDo("move", Move))

func main() {}
