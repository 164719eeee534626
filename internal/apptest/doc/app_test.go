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
)

type App struct {
	Edits *kanava.Topic[Edit]
	rev   atomic.Int64
}

func New(hub *kanava.EventHub) *App { return &App{Edits: kanava.NewTopic[Edit](hub, "doc")} }

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
	return Applied{a.rev.Load()}, a.Edits.Subscribe(ctx, ch, ch.Opening().Doc)
}

func (a *App) Apply(ctx context.Context, ch *Doc, in Edit) (Applied, error) {
	return Applied{a.rev.Add(1)}, a.Edits.Publish(ctx, ch.Opening().Doc, in, kanava.Except(ch.ID()))
}

func (a *App) Channel() kanava.Wiring[Params, User] {
	return kanava.Wiring[Params, User]{
		Name: "doc", Route: "/doc/{doc}",
		OnConnect: kanava.ConnectFunc(a.Join),
		Messages:  kanava.By("action", kanava.On("apply", a.Apply, kanava.Concurrent())),
		Outgoing:  []kanava.Outgoing{redact},
		Declares:  []kanava.Declared{a.Edits},
	}
}
