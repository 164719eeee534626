package jobs

import (
	"context"

	"github.com/kanava-go/kanava"
)

type User struct {
	ID    string   `json:"id"`
	Perms []string `json:"perms"`
}

type (
	Start struct {
		Name string `json:"name"`
	}
	Started struct {
		ID string `json:"id"`
	}
	Watch struct {
		ID string `json:"id" path:"id"`
	}
	Progress struct {
		Percent int `json:"percent"`
	}
)

type App struct{}

func (a *App) Start(ctx context.Context, in Start) (Started, error) {
	u, _ := kanava.SessionFrom[User](ctx)
	return Started{u.ID + "/" + in.Name}, nil
}

func (a *App) Watch(ctx context.Context, _ Watch, out *kanava.Stream[Progress]) error {
	for p := 0; p <= 100; p += 50 {
		if err := out.Send(ctx, Progress{p}); err != nil {
			return err
		}
	}
	return nil
}

func serve(authenticate func(context.Context, *kanava.OpenRequest) (*User, error)) *kanava.Server[User] {
	a := &App{}
	start := kanava.PlainFunc(a.Start, kanava.Allow("jobs:start"), kanava.Doc("Start a job"))
	watch := kanava.PlainStream(a.Watch)

	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: authenticate,
		Identify:     func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID, Permissions: u.Perms} },
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "jobs", Route: "/jobs",
		Messages: kanava.By[kanava.None, User]("action").Plain("start", start).Plain("watch", watch),
	})
	srv.WireHTTP("POST /jobs", start)            // same permission, same docs, in the manifest
	srv.WireHTTP("GET /jobs/{id}/events", watch) // SSE
	return srv
}
