package transporttest

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// This file has the functions of the channel "/main", by theme.

type routes = []kanava.Route[kanava.None, User]

// replies are functions whose results are of each kind.
func (a *app) replies() routes {
	return routes{
		kanava.OnDo("ping", ping[kanava.None]),
		kanava.On("greet", func(context.Context, *channel, byAction) (chosenBy, error) { return chosenBy{"action"}, nil }),
		kanava.On("object", always(greeting{"hello", 1})),
		kanava.On("empty", always(struct{}{})),
		kanava.On("none", always(kanava.None{})),
		kanava.On("string", always("hello")),
		kanava.On("number", always(42)),
		kanava.On("boolean", always(false)),
		kanava.On("null", always[*greeting](nil)),
		kanava.On("array", always([]int{1, 2, 3})),
		kanava.On("map", always(map[string]string{"action": "mine"})),
		kanava.On("raw", func(_ context.Context, _ *channel, in rawValue) (jsontext.Value, error) { return in.Value, nil }),
		kanava.On("tick", func(_ context.Context, _ *channel, in tickInput) (int, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.ticks[in.Name]++
			return a.ticks[in.Name], nil
		}),
		kanava.On("size", func(_ context.Context, _ *channel, in sizeInput) (sizeReply, error) {
			return sizeReply{utf8.RuneCountInString(in.Text)}, nil
		}),
		kanava.On("id", func(_ context.Context, ch *channel, _ kanava.None) (string, error) { return ch.ID(), nil }),
		kanava.OnDo("note", func(ctx context.Context, ch *channel, in textValue) error { return a.note.Send(ctx, ch, in) }),
		kanava.OnDo("bytes", func(ctx context.Context, ch *channel, in hexValue) error {
			return ch.SendBinary(ctx, unhex(in.Hex))
		}),
	}
}

// always returns a function with one result.
func always[T any](v T) func(context.Context, *channel, kanava.None) (T, error) {
	return func(context.Context, *channel, kanava.None) (T, error) { return v, nil }
}

// unhex decodes what a pattern has checked.
func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// inputs are functions whose inputs have rules; they return what they take.
func (a *app) inputs() routes {
	return routes{
		kanava.On("text", same[textInput]),
		kanava.On("integer", same[integerInput]),
		kanava.On("int64", same[int64Input]),
		kanava.On("float", same[floatInput]),
		kanava.On("bool", same[booleanInput]),
		kanava.On("choice", same[choiceInput]),
		kanava.On("pattern", same[patternInput]),
		kanava.On("list", same[listInput]),
		kanava.On("dictionary", same[mapInput]),
		kanava.On("nested", same[nestedInput]),
		kanava.On("optional", same[optionalInput]),
		kanava.On("shape", same[shapeInput]),
		kanava.On("order", same[orderInput]),
	}
}

func same[T any](_ context.Context, _ *channel, in T) (T, error) { return in, nil }

// unwritable is a result that cannot be written, or one that is too long.
type unwritable struct{ length int }

// MarshalJSON implements json.Marshaler.
func (u unwritable) MarshalJSON() ([]byte, error) {
	if u.length == 0 {
		return nil, errors.New(hidden)
	}
	return []byte(`"` + strings.Repeat("x", u.length) + `"`), nil
}

// errors are functions that fail.
func (a *app) errors() routes {
	return routes{
		kanava.OnDo("fail", func(_ context.Context, _ *channel, in failure) error {
			e := kanava.Errorf(kanava.Code(in.Code), "%s", in.Message).Because(errors.New(hidden))
			e.RetryAfter = time.Duration(in.RetryAfter) * time.Millisecond
			for _, p := range in.Pointers {
				e.Details = append(e.Details, kanava.Detail{Pointer: p, Message: "as asked for"})
			}
			return e
		}),
		kanava.On("crash", func(_ context.Context, _ *channel, in crash) (unwritable, error) {
			switch in.How {
			case "panic":
				panic(hidden)
			case "error":
				return unwritable{}, errors.New(hidden)
			case "long":
				return unwritable{length: 1 << 20}, nil
			}
			return unwritable{}, nil
		}),
		kanava.On("close", func(ctx context.Context, ch *channel, in goodbyeInput) (goodbye, error) {
			return goodbye{true}, ch.Close(ctx, kanava.CloseCode(in.Code), in.Reason)
		}),
	}
}

// streams are functions that send many values.
func (a *app) streams() routes {
	return routes{
		kanava.OnStream("count", func(ctx context.Context, _ *channel, in howMany, out *kanava.Stream[item]) error {
			for i := range in.N {
				if err := out.Send(ctx, item{i + 1}); err != nil {
					return err
				}
			}
			return nil
		}),
		kanava.OnStream("break", func(ctx context.Context, _ *channel, in howMany, out *kanava.Stream[item]) error {
			for i := range in.N {
				if err := out.Send(ctx, item{i + 1}); err != nil {
					return err
				}
			}
			return kanava.Errorf(kanava.CodeAborted, "as asked for")
		}),
		kanava.OnStream("steps", func(ctx context.Context, _ *channel, _ kanava.None, out *kanava.Stream[progress]) error {
			return errors.Join(out.Send(ctx, processing{"load"}), out.Send(ctx, complete{3}))
		}),
		kanava.OnStream("drip", func(ctx context.Context, _ *channel, in gateName, out *kanava.Stream[item]) error {
			return errors.Join(out.Send(ctx, item{1}), a.pass(ctx, in.Gate), out.Send(ctx, item{2}))
		}),
	}
}

// timing are functions that wait for each other.
func (a *app) timing() routes {
	wait := func(ctx context.Context, _ *channel, in gateName) error { return a.pass(ctx, in.Gate) }
	return routes{
		kanava.OnDo("wait", wait),
		kanava.OnDo("waitBeside", wait, kanava.Concurrent()),
		kanava.OnDo("waitFirmly", func(ctx context.Context, _ *channel, in gateName) error {
			return a.pass(context.WithoutCancel(ctx), in.Gate)
		}, kanava.Concurrent()),
		kanava.OnDo("late", func(ctx context.Context, _ *channel, _ kanava.None) error {
			<-ctx.Done()
			return ctx.Err()
		}, kanava.Timeout(time.Millisecond)),
		kanava.OnDo("open", func(_ context.Context, _ *channel, in gateName) error {
			a.open(in.Gate)
			return nil
		}),
	}
}

// topics are functions that subscribe and publish.
func (a *app) topics() routes {
	return routes{
		kanava.OnDo("join", a.join),
		kanava.OnDo("part", func(ctx context.Context, ch *channel, in roomName) error {
			return a.rooms.Unsubscribe(ctx, ch, in.Room)
		}),
		kanava.OnDo("publish", a.publish),
		kanava.OnDo("publishOthers", func(ctx context.Context, ch *channel, in roomText) error {
			return a.rooms.Publish(ctx, in.Room, roomEvent{Text: in.Text}, kanava.Except(ch.ID()))
		}),
		kanava.OnDo("publishBytes", func(ctx context.Context, _ *channel, in roomBytes) error {
			return a.hub.Publish(ctx, "room:"+in.Room, unhex(in.Hex))
		}),
		kanava.OnDo("subscribe", a.subscribe),
		kanava.OnDo("unsubscribe", func(ctx context.Context, ch *channel, in topicName) error {
			return a.hub.Unsubscribe(ctx, in.Topic, ch.ID())
		}),
		kanava.OnDo("enter", func(ctx context.Context, ch *channel, in roomName) error {
			return a.clubs.Subscribe(ctx, ch, in.Room)
		}),
		kanava.OnDo("publishRaw", func(ctx context.Context, _ *channel, in topicValue) error {
			return a.hub.Publish(ctx, in.Topic, in.Value)
		}),
		kanava.OnDo("publishRawOthers", func(ctx context.Context, ch *channel, in topicValue) error {
			return a.hub.Publish(ctx, in.Topic, in.Value, kanava.Except(ch.ID()))
		}),
	}
}

func (a *app) subscribe(ctx context.Context, ch *channel, in topicName) error {
	return a.hub.Subscribe(ctx, in.Topic, ch.ID())
}

func (a *app) join(ctx context.Context, ch *channel, in roomName) error {
	return a.rooms.Subscribe(ctx, ch, in.Room)
}

func (a *app) publish(ctx context.Context, _ *channel, in roomText) error {
	return a.rooms.Publish(ctx, in.Room, roomEvent{Text: in.Text})
}

// presences are functions that say who is there.
func (a *app) presences() routes {
	return routes{
		kanava.OnDo("arrive", func(ctx context.Context, ch *channel, in hallMood) error {
			return a.halls.Join(ctx, ch, in.Hall, attendant{in.Mood})
		}),
		kanava.OnDo("depart", func(ctx context.Context, ch *channel, in hallName) error {
			return a.halls.Leave(ctx, ch, in.Hall)
		}),
	}
}

// signing are functions around sessions.
func (a *app) signing() routes {
	return routes{
		kanava.On("authenticate", a.authenticate),
		kanava.On("whoami", a.whoami),
		kanava.OnDo("logout", a.logout),
		kanava.OnDo("secret", ping[kanava.None], kanava.Protected()),
		kanava.OnDo("admin", ping[kanava.None], kanava.Allow("admin")),
	}
}

func (a *app) authenticate(ctx context.Context, ch *channel, in credentials) (signedIn, error) {
	u, err := signIn(in.Token)
	if err != nil {
		return signedIn{}, err
	}
	return signedIn{true}, ch.SetSession(ctx, u)
}

func (a *app) whoami(_ context.Context, ch *channel, _ kanava.None) (me, error) {
	u := ch.Session()
	return me{u.Name, u.Admin}, nil
}

func (a *app) logout(ctx context.Context, ch *channel, _ kanava.None) error {
	return ch.ClearSession(ctx)
}

// outlive returns when the session has expired.
func (a *app) outlive(ctx context.Context, ch *channel, _ kanava.None) (me, error) {
	for {
		u, ok := ch.LookupSession()
		switch {
		case !ok:
			return me{}, nil
		case u.Until.IsZero():
			return me{}, kanava.Errorf(kanava.CodeFailedPrecondition, "the session lasts for ever")
		}
		select {
		case <-time.After(time.Until(u.Until)):
		case <-ctx.Done():
			return me{}, ctx.Err()
		}
	}
}

// asking are functions that ask the client.
func (a *app) asking() routes {
	ask := func(ctx context.Context, ch *channel, in question) (verdict, error) {
		return a.confirm.Call(ctx, ch, in)
	}
	return routes{
		kanava.On("ask", ask, kanava.Concurrent()),
		kanava.On("askInTurn", ask),
		kanava.On("askBriefly", ask, kanava.Concurrent(), kanava.Timeout(shortLived)),
	}
}
