package tenant

import (
	"context"
	"strings"
	"time"

	"github.com/kanava-go/kanava"
)

// Tenant is the first label of the host.
type Tenant string

func (t *Tenant) UnmarshalText(b []byte) error {
	s, _, _ := strings.Cut(string(b), ".")
	*t = Tenant(s)
	return nil
}

// MarshalText is the other way: a session that holds a Tenant can be stored.
func (t Tenant) MarshalText() ([]byte, error) { return []byte(t), nil }

type Params struct {
	Tenant Tenant `header:"Host"`
}

type User struct {
	ID     string    `json:"id"`
	Tenant Tenant    `json:"tenant"`
	Roles  []string  `json:"roles"`
	Until  time.Time `json:"until"`
}

type Conn = kanava.Channel[Params, User]

type (
	Token struct {
		Token string `json:"token"`
	}
	Kick struct {
		UserID string `json:"userId"`
	}
	Note struct {
		Text string `json:"text"`
	}
)

type App struct {
	Notes  *kanava.Topic[Note]
	Conns  *kanava.Conns
	Frozen func(Tenant) bool
	verify func(string) (User, error)
}

func sameTenant(_ context.Context, p Params, u User) error {
	if u.Tenant != p.Tenant {
		return kanava.Errorf(kanava.CodePermissionDenied, "other tenant")
	}
	return nil
}

func (a *App) notFrozen(_ context.Context, ch *Conn) error {
	if a.Frozen(ch.Opening().Tenant) {
		return kanava.Errorf(kanava.CodeUnavailable, "this account is frozen")
	}
	return nil
}

func (a *App) Join(ctx context.Context, ch *Conn) (kanava.None, error) {
	return kanava.None{}, a.Notes.Subscribe(ctx, ch, string(ch.Opening().Tenant))
}

func (a *App) Auth(ctx context.Context, ch *Conn, in Token) error {
	u, err := a.verify(in.Token)
	if err != nil {
		return kanava.Errorf(kanava.CodeUnauthenticated, "invalid token").Because(err)
	}
	return ch.SetSession(ctx, u) // Admit checks the tenant, Identify the expiry and user id
}

func (a *App) Post(ctx context.Context, ch *Conn, in Note) error {
	return a.Notes.Publish(ctx, string(ch.Opening().Tenant), in)
}

func (a *App) Kick(ctx context.Context, _ *Conn, in Kick) error {
	return a.Conns.CloseUser(ctx, in.UserID, kanava.CloseForbidden, "kicked")
}

func (a *App) Channel() kanava.Wiring[Params, User] {
	return kanava.Wiring[Params, User]{
		Name: "office", Route: "/office",
		Admit:     sameTenant,
		OnConnect: kanava.ConnectFunc(a.Join),
		Messages: kanava.By("action",
			kanava.OnDo("auth", a.Auth, kanava.Public()),
			kanava.OnDo("post", a.Post, kanava.With(kanava.Guard(a.notFrozen))),
			kanava.OnDo("kick", a.Kick, kanava.Allow("admin")),
		),
		Declares: []kanava.Declared{a.Notes},
	}
}

func serve(verify func(string) (User, error), frozen func(Tenant) bool) *kanava.Server[User] {
	srv := kanava.NewServer(kanava.Options[User]{
		Identify: func(u User) kanava.Identity {
			return kanava.Identity{UserID: u.ID, Expires: u.Until, Permissions: u.Roles}
		},
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) {
			if r.Token == "" {
				return nil, nil // to sign in by "auth"
			}
			u, err := verify(r.Token)
			return &u, err
		},
	})
	a := &App{kanava.NewTopic[Note](srv.EventHub(), "note"), srv.Conns(), frozen, verify}
	srv.Wire(a.Channel())
	return srv
}
