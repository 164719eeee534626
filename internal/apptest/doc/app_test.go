package doc

import (
	"context"
	"sync/atomic"

	"github.com/kanava-go/kanava"
)

type Params struct {
	Doc string `path:"doc" minLength:"1"`
}

type User struct {
	ID   string `json:"id"`
	Role string `json:"role"`
}

type Doc = kanava.Channel[Params, User]

type (
	Edit struct {
		Pos  int     `json:"pos" minimum:"0"`
		Text string  `json:"text"`
		Note *string `json:"note,omitempty"`
	}
	Applied struct {
		Rev int64 `json:"rev"`
	}
	Cursor struct {
		Pos int `json:"pos" minimum:"0"`
	}
	Member struct {
		Role string `json:"role"`
	}
)

type App struct {
	Edits   *kanava.Topic[Edit]
	Here    *kanava.Presence[Member]
	Cursors *kanava.Value[Cursor]
	rev     atomic.Int64
}

func New(hub *kanava.EventHub) *App {
	return &App{
		Edits:   kanava.NewTopic[Edit](hub, "doc"),
		Here:    kanava.NewPresence[Member](hub, "doc"),
		Cursors: kanava.NewValue[Cursor]("cursor"),
	}
}

// redact keeps notes from all but editors.
func redact(next kanava.Sender) kanava.Sender {
	return func(ctx context.Context, p *kanava.Payload) error {
		if e, ok := p.Value.(Edit); ok && p.Conn.(*Doc).Session().Role != "editor" {
			e.Note = nil
			p.Value = e
		}
		return next(ctx, p)
	}
}

func (a *App) Join(ctx context.Context, ch *Doc) (Applied, error) {
	if err := a.Here.Join(ctx, ch, ch.Opening().Doc, Member{ch.Session().Role}); err != nil {
		return Applied{}, err
	}
	return Applied{a.rev.Load()}, a.Edits.Subscribe(ctx, ch, ch.Opening().Doc)
}

func (a *App) Who(ctx context.Context, ch *Doc, _ kanava.None) (names []string, err error) {
	for m, err := range a.Here.Members(ctx, ch.Opening().Doc) {
		if err != nil {
			return nil, err
		}
		names = append(names, m.ID+", "+m.Data.Role)
	}
	return names, nil
}

func (a *App) Move(ctx context.Context, ch *Doc, to Cursor) error { return a.Cursors.Set(ctx, ch, to) }

// Insert is Apply where the cursor is.
func (a *App) Insert(ctx context.Context, ch *Doc, text string) (Applied, error) {
	at, _, err := a.Cursors.Get(ctx, ch)
	if err != nil {
		return Applied{}, err
	}
	return a.Apply(ctx, ch, Edit{Pos: at.Pos, Text: text})
}

func (a *App) Apply(ctx context.Context, ch *Doc, in Edit) (Applied, error) {
	return Applied{a.rev.Add(1)}, a.Edits.Publish(ctx, ch.Opening().Doc, in, kanava.Except(ch.ID()))
}

func (a *App) Channel() kanava.Wiring[Params, User] {
	return kanava.Wiring[Params, User]{
		Name: "doc", Route: "/doc/{doc}",
		OnConnect: kanava.ConnectFunc(a.Join),
		OnMessage: kanava.Func(a.Insert),
		Messages: kanava.By("action",
			kanava.On("apply", a.Apply, kanava.Concurrent()),
			kanava.OnDo("move", a.Move),
			kanava.On("who", a.Who),
		),
		Outgoing: []kanava.Outgoing{redact},
		Declares: []kanava.Declared{a.Edits, a.Here, a.Cursors},
	}
}
