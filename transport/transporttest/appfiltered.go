package transporttest

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// This file has the channels whose wiring differs from that of "/main".

// filtered is a channel whose outgoing middleware drops or changes what has
// the text "drop" or "change".
func (a *app) filtered() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "filtered", Route: "/filtered", Public: true,
		Outgoing:  []kanava.Outgoing{filter},
		OnConnect: kanava.ConnectFunc(func(context.Context, *channel) (textValue, error) { return textValue{"drop"}, nil }),
		Messages: kanava.By("action",
			kanava.OnDo("ping", ping[kanava.None]),
			kanava.On("say", same[textValue]),
			kanava.OnStream("says", func(ctx context.Context, _ *channel, in texts, out *kanava.Stream[textValue]) error {
				for _, text := range in.Texts {
					if err := out.Send(ctx, textValue{text}); err != nil {
						return err
					}
				}
				return nil
			}),
			kanava.OnDo("note", func(ctx context.Context, ch *channel, in textValue) error { return a.note.Send(ctx, ch, in) }),
			kanava.OnDo("join", a.join),
			kanava.OnDo("subscribe", a.subscribe),
			kanava.OnDo("publish", a.publish),
		),
		Declares: []kanava.Declared{a.rooms, a.note},
	}
}

func filter(next kanava.Sender) kanava.Sender {
	return func(ctx context.Context, p *kanava.Payload) error {
		text := ""
		switch v := p.Value.(type) {
		case textValue:
			text = v.Text
		case roomEvent:
			text = v.Text
		case jsontext.Value:
			var e textValue
			_ = json.Unmarshal(v, &e) // no text where it is something else
			text = e.Text
		}
		switch text {
		case "drop":
			return nil
		case "change":
			p.Value = textValue{"changed"}
		}
		return next(ctx, p)
	}
}

// limited is a channel with limits that are soon reached.
func (a *app) limited() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "limited", Route: "/limited", Public: true,
		Limits: kanava.Limits{Subscriptions: 1, WaitingCalls: 2, Rate: kanava.Rate{PerSecond: 0.01, Burst: 20}},
		Messages: kanava.By("action",
			kanava.OnDo("ping", ping[kanava.None]),
			kanava.OnDo("join", a.join),
			kanava.OnDo("subscribe", a.subscribe),
			kanava.OnDo("waitBeside", func(ctx context.Context, _ *channel, in gateName) error { return a.pass(ctx, in.Gate) }, kanava.Concurrent()),
		),
		Declares: []kanava.Declared{a.rooms},
	}
}
