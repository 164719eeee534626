package kanava_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/manifest"
)

type cursor struct {
	Line int            `json:"line" minimum:"1"`
	Tags map[string]int `json:"tags,omitempty"`
}

// What is kept is a copy: neither who set it nor who got it can change it.
func TestValueIsACopy(t *testing.T) {
	at := kanava.NewValue[cursor]("cursor")
	ctx, ch := context.Background(), kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	if got, ok, err := at.Get(ctx, ch); ok || err != nil || got.Line != 0 {
		t.Errorf("before Set: %v, %v, %v", got, ok, err)
	}
	set := cursor{Line: -1, Tags: map[string]int{"a": 1}} // rules are for what clients send
	if err := at.Set(ctx, ch, set); err != nil {
		t.Fatal(err)
	}
	set.Tags["a"] = 2
	for range 2 {
		got, ok, err := at.Get(ctx, ch)
		if !ok || err != nil || got.Line != -1 || got.Tags["a"] != 1 {
			t.Fatalf("%v, %v, %v", got, ok, err)
		}
		got.Tags["a"] = 3
	}
	for range 2 {
		if err := at.Delete(ctx, ch); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := at.Get(ctx, ch); ok || err != nil {
			t.Errorf("after Delete: %v, %v", ok, err)
		}
	}
}

// Nil is a value; two channels keep values of their own.
func TestValueOfEachConnection(t *testing.T) {
	last := kanava.NewValue[*int]("last")
	ctx := context.Background()
	one, two := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil), kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	if err := last.Set(ctx, one, nil); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := last.Get(ctx, one); got != nil || !ok || err != nil {
		t.Errorf("%v, %v, %v", got, ok, err)
	}
	if _, ok, err := last.Get(ctx, two); ok || err != nil {
		t.Errorf("the other one: %v, %v", ok, err)
	}
}

// A value of one name and another type is an error, not a wrong value.
func TestValueOfAnotherType(t *testing.T) {
	ctx, ch := context.Background(), kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	if err := kanava.NewValue[string]("v").Set(ctx, ch, "secret"); err != nil {
		t.Fatal(err)
	}
	got, ok, err := kanava.NewValue[cursor]("v").Get(ctx, ch)
	if ok || err == nil || !strings.HasPrefix(err.Error(), `kanava: value "v" is no kanava_test.cursor: `) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v, %v, %v", got, ok, err)
	}
}

// The limit is on the bytes of all values: what is refused changes nothing, and
// what is deleted or replaced makes room.
func TestValuesAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const limit = 40
		srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Values: limit}})
		opened := make(chan *line, 1)
		srv.Wire(wiring{Name: "v", Route: "/v", Public: true, OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *line) (kanava.None, error) {
			opened <- ch
			return kanava.None{}, nil
		})})
		client := connect(srv, "/v")
		defer client.leave()
		ch, ctx := <-opened, context.Background()
		kept := map[string]string{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"a", "bb", "ccc"}).Draw(rt, "name")
			v := kanava.NewValue[string](name)
			if rapid.Bool().Draw(rt, "delete") {
				if err := v.Delete(ctx, ch); err != nil {
					rt.Fatal(err)
				}
				delete(kept, name)
			} else {
				text := strings.Repeat("x", rapid.IntRange(0, 30).Draw(rt, "length"))
				total := len(name) + len(text) + 2
				for other, t := range kept {
					if other != name {
						total += len(other) + len(t) + 2
					}
				}
				err := v.Set(ctx, ch, text)
				if fits := total <= limit; fits != (err == nil) {
					rt.Fatalf("Set of %d bytes with %v kept: %v", len(text), kept, err)
				} else if fits {
					kept[name] = text
				} else if !isCode(err, kanava.CodeTooLarge) {
					rt.Fatal(err)
				}
			}
			for _, name := range []string{"a", "bb", "ccc"} {
				want, there := kept[name]
				if got, ok, err := kanava.NewValue[string](name).Get(ctx, ch); got != want || ok != there || err != nil {
					rt.Fatalf("%s is %q, %v, %v, want %q, %v", name, got, ok, err, want, there)
				}
			}
		}
	})
}

func isCode(err error, code kanava.Code) bool {
	var e *kanava.Error
	return errors.As(err, &e) && e.Code == code
}

// S5 What a user has set no other user sees; what nobody has set stays.
func TestS5_ValuesBelongToTheUser(t *testing.T) {
	type step struct{ user, set string } // user "" signs out; set is what is set then
	for _, tc := range []struct {
		why   string
		steps []step
		want  string // "" is none
	}{
		{"nobody", []step{{set: "n"}}, "n"},
		{"set before the user signed in", []step{{set: "n"}, {user: "ann"}}, "n"},
		{"and after the user signed out", []step{{set: "n"}, {user: "ann"}, {}}, "n"},
		{"set by the user", []step{{user: "ann", set: "a"}}, "a"},
		{"the same user again", []step{{user: "ann", set: "a"}, {user: "ann"}}, "a"},
		{"signed out", []step{{user: "ann", set: "a"}, {}}, ""},
		{"signed out and in again", []step{{user: "ann", set: "a"}, {}, {user: "ann"}}, ""},
		{"another user", []step{{user: "ann", set: "a"}, {user: "bob"}}, ""},
		{"what the user has put in the place of nobody's", []step{{set: "n"}, {user: "ann", set: "a"}, {}}, ""},
	} {
		v, w := kanava.NewValue[string]("v"), kanava.NewValue[string]("w")
		srv := serve(t, kanava.Options[account]{AllowUserChange: true}, wiring{Public: true})
		conn, err := srv.Conns().Get(t.Context(), kanavatest.Dial(t, srv, "/test").ID())
		ctx, ch, errs := t.Context(), conn.(*line), []error{err}
		for i, s := range tc.steps {
			switch {
			case s.user != "":
				errs = append(errs, ch.SetSession(ctx, account{ID: s.user}))
			case i > 0:
				errs = append(errs, ch.ClearSession(ctx))
			}
			if s.set != "" {
				errs = append(errs, v.Set(ctx, ch, s.set), w.Set(ctx, ch, s.set))
			}
		}
		for _, v := range []*kanava.Value[string]{v, w} {
			got, ok, err := v.Get(ctx, ch)
			if err := errors.Join(append(errs, err)...); err != nil || got != tc.want || ok != (tc.want != "") {
				t.Errorf("%s: %q, %v, %v, want %q", tc.why, got, ok, err, tc.want)
			}
		}
	}
}

// P16 A call that was begun under the former user neither sees nor sets what is
// the next user's, and does not say where that one is.
func TestP16_ValuesInACallOfTheFormerUser(t *testing.T) {
	v := kanava.NewValue[string]("v")
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	here := kanava.NewPresence[int](hub, "room")
	got := make(chan error, 4)
	started := make(chan struct{})
	srv := serve(t, kanava.Options[account]{EventHub: hub, AllowUserChange: true}, wiring{Messages: by(login(),
		kanava.OnDo("wait", func(ctx context.Context, ch *line, _ kanava.None) error {
			close(started)
			<-ctx.Done()
			_, _, err := v.Get(ctx, ch)
			got <- err
			got <- v.Set(context.WithoutCancel(ctx), ch, "ann's")
			got <- here.Join(context.WithoutCancel(ctx), ch, "x", 1)
			got <- here.Leave(ctx, ch, "x")
			return nil
		}, kanava.Concurrent()))})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"wait"}`)
	receive(t, started)
	c.SendText(`{"action":"login","id":"bob"}`)
	for range 4 {
		if err := receive(t, got); !isCode(err, kanava.CodeAborted) {
			t.Errorf("error %v", err)
		}
	}
}

// OnDisconnect reads values; nothing is kept any more then.
func TestValueAtTheEnd(t *testing.T) {
	v := kanava.NewValue[string]("v")
	got, set := make(chan string, 1), make(chan error, 1)
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (kanava.None, error) {
			return kanava.None{}, v.Set(ctx, ch, "last words")
		}),
		OnDisconnect: kanava.DisconnectFunc(func(ctx context.Context, ch *line) error {
			text, _, err := v.Get(ctx, ch)
			got <- text
			set <- v.Set(ctx, ch, "more")
			return err
		}),
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.ExpectNone()
	c.Leave()
	if text := receive(t, got); text != "last words" {
		t.Errorf("got %q", text)
	}
	if err := receive(t, set); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("Set: %v", err)
	}
}

// Values stand in the manifest with their types, which are no types of clients.
func TestValueInTheManifest(t *testing.T) {
	hash := func(declares ...kanava.Declared) (string, *manifest.Manifest) {
		m := serve(t, kanava.Options[account]{}, wiring{Declares: declares}).Manifest()
		return m.Hash, m
	}
	bare, _ := hash()
	with, m := hash(kanava.NewValue[cursor]("cursor"))
	if bare != with || len(m.Types) != 0 {
		t.Errorf("hash %s, without the value %s; types %v", with, bare, m.Types)
	}
	v := m.Channels[0].Values
	if len(v) != 1 || v[0].Name != "cursor" || !strings.Contains(string(v[0].Type), `"line"`) {
		t.Errorf("values %v", v)
	}
}
