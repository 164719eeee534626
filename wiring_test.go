package kanava_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

type otherOpen struct{}

// Wrong wiring panics when it is wired, and says where both places are.
func TestWrongWiring(t *testing.T) {
	ok := func(context.Context, *line, kanava.None) error { return nil }
	on := func(name string) route { return kanava.OnDo(name, ok) }
	hub := kanava.NewEventHub(kanava.HubOptions{})
	for _, tc := range []struct {
		name string
		wire func(s *server)
		want []string
	}{
		{"no name", func(s *server) { s.Wire(wiring{Route: "/a"}) }, []string{"Name is empty", "wiring_test.go:"}},
		{"no route", func(s *server) { s.Wire(wiring{Name: "a"}) }, []string{`channel "a"`, "Route is empty"}},
		{"bad route", func(s *server) { s.Wire(wiring{Name: "a", Route: "/{"}) }, []string{`Route "/{"`}},
		{"a method", func(s *server) { s.Wire(wiring{Name: "a", Route: "GET /a"}) }, []string{"without a method"}},
		{"nil", func(s *server) { s.Wire(nil) }, []string{"nil"}},
		{"two names", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a"})
			s.Wire(wiring{Name: "a", Route: "/b"})
		}, []string{`channel "a" at wiring_test.go:`, "already wired at wiring_test.go:"}},
		{"two routes", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a/{x}"})
			s.Wire(wiring{Name: "b", Route: "/a/{y}"})
		}, []string{`Route "/a/{y}"`, `channel "a" at wiring_test.go:`}},
		{"two actions", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Messages: by(on("x"), on("x"))}) }, []string{`action "x" at wiring_test.go:`, "already wired at wiring_test.go:"}},
		{"two keys", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: kanava.By("k", on("x")).By("k", on("y"))})
		}, []string{`By("k") at wiring_test.go:`, "already wired at wiring_test.go:"}},
		{"empty key", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Messages: kanava.By("", on("x"))}) }, []string{"empty key"}},
		{"reserved key", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Messages: kanava.By("error", on("x"))}) }, []string{`By("error") at wiring_test.go:`, "route by another"}},
		{"empty action", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Messages: by(on(""))}) }, []string{"1 to 256 bytes"}},
		{"zero action", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Messages: by(route{})}) }, []string{"zero value"}},
		{"plain without By", func(s *server) {
			_ = kanava.Router[noOpen, account]{}.Plain("x", kanava.PlainDo(func(context.Context, kanava.None) error { return nil }))
		}, []string{"before any By"}},
		{"input that is no object", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", func(context.Context, *line, int) error { return nil }))})
		}, []string{"no JSON object", `action "x" at wiring_test.go:`}},
		{"input with a type that has no JSON", func(s *server) {
			type in struct {
				List []struct{ Wait time.Duration }
			}
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", func(context.Context, *line, in) error { return nil }))})
		}, []string{"List[].Wait", "time.Duration"}},
		{"bad tag", func(s *server) {
			type in struct {
				Name string `minLength:"many"`
			}
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", func(context.Context, *line, in) error { return nil }))})
		}, []string{"in.Name", "minLength"}},
		{"output without JSON", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", OnMessage: kanava.Func(func(context.Context, *line, text) (func(), error) { return nil, nil })})
		}, []string{"OnMessage at wiring_test.go:", "output", "func()"}},
		{"result with the routing member", func(s *server) {
			type out struct {
				Action string `json:"action"`
			}
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.On("x", func(context.Context, *line, text) (out, error) { return out{}, nil }))})
		}, []string{`has a member "action"`}},
		{"result like an event", func(s *server) {
			type out struct {
				Topic string `json:"topic"`
				Data  int    `json:"data"`
			}
			s.Wire(wiring{Name: "a", Route: "/a", OnMessage: kanava.Func(func(context.Context, *line, text) (out, error) { return out{}, nil })})
		}, []string{"take it for an event"}},
		{"result like an error", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", OnMessage: kanava.Func(func(context.Context, *line, text) (errorFrame, error) { return errorFrame{}, nil })})
		}, []string{"take it for an error"}},
		{"path that the route lacks", func(s *server) {
			type open struct {
				ID string `path:"id"`
			}
			s.Wire(kanava.Wiring[open, account]{Name: "a", Route: "/a/{room}"})
		}, []string{`path:"id"`, `Route "/a/{room}" has no {id}`}},
		{"opening data of a cookie", func(s *server) {
			type open struct {
				Cookie string `header:"Cookie"`
			}
			s.Wire(kanava.Wiring[open, account]{Name: "a", Route: "/a"})
		}, []string{"open.Cookie", "Authenticate"}},
		{"public and allow", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.Public(), kanava.Allow("a")))})
		}, []string{"contradict"}},
		{"nil middleware", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Middleware: []kanava.Middleware{nil}, Messages: by(on("x"))})
		}, []string{"middleware is nil"}},
		{"guard of another channel", func(s *server) {
			guard := kanava.Guard(func(context.Context, *kanava.Channel[otherOpen, account]) error { return nil })
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.With(guard)))})
		}, []string{"guard at wiring_test.go:", "otherOpen", "noOpen"}},
		{"topic of another hub", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{kanava.NewTopic[int](hub, "elsewhere")}})
		}, []string{`topic "elsewhere"`, "another hub"}},
		{"zero topic", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{&kanava.Topic[int]{}}})
		}, []string{"zero topic"}},
		{"nil topic", func(s *server) {
			var topic *kanava.Topic[int]
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{topic}})
		}, []string{"zero topic"}},
		{"zero presence", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{&kanava.Presence[int]{}}})
		}, []string{"zero presence"}},
		{"nil presence", func(s *server) {
			var p *kanava.Presence[int]
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{p}})
		}, []string{"zero presence"}},
		{"presence of another hub", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{kanava.NewPresence[int](kanava.NewEventHub(kanava.HubOptions{}), "p")}})
		}, []string{`presence "p"`, "another hub"}},
		{"two presences of a name", func(s *server) {
			kanava.NewPresence[int](s.EventHub(), "p")
			kanava.NewPresence[string](s.EventHub(), "p")
		}, []string{`presence "p" at wiring_test.go:`, "already made for this hub at wiring_test.go:"}},
		{"presence with a colon", func(s *server) { kanava.NewPresence[int](s.EventHub(), "a:b") }, []string{"no colon"}},
		{"presence without a hub", func(*server) { kanava.NewPresence[int](nil, "p") }, []string{"hub is nil"}},
		{"presence that is lost as JSON", func(s *server) {
			type member struct {
				Name string
				conn chan int
			}
			kanava.NewPresence[member](s.EventHub(), "p")
			_ = member{}.conn
		}, []string{`presence "p" at wiring_test.go:`, "member.conn"}},
		{"zero value", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{&kanava.Value[int]{}}})
		}, []string{"zero value"}},
		{"nil value", func(s *server) {
			var v *kanava.Value[int]
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{v}})
		}, []string{"zero value"}},
		{"two values of a name", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{kanava.NewValue[int]("v"), kanava.NewValue[string]("v")}})
		}, []string{`value "v" is declared twice`}},
		{"value without a name", func(*server) { kanava.NewValue[int]("") }, []string{"value", "at wiring_test.go:", "1 to 256 bytes"}},
		{"value that is lost as JSON", func(*server) {
			type state struct {
				N     int
				cache map[string]string
			}
			kanava.NewValue[state]("v")
			_ = state{}.cache
		}, []string{`value "v" at wiring_test.go:`, "state.cache"}},
		{"declared twice", func(s *server) {
			p := kanava.NewPush[int]("p")
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{p, p}})
		}, []string{`push "p" is declared twice`}},
		{"hook for another session", func(s *server) {
			topic := kanava.NewTopic[int](s.EventHub(), "t", kanava.MaySubscribe(func(context.Context, text, string) error { return nil }))
			s.Wire(wiring{Name: "a", Route: "/a", Declares: []kanava.Declared{topic}})
		}, []string{"MaySubscribe", "text", "account"}},
		{"two topics of a name", func(s *server) {
			kanava.NewTopic[int](s.EventHub(), "t")
			kanava.NewTopic[string](s.EventHub(), "t")
		}, []string{`topic "t" at wiring_test.go:`, "already made for this hub at wiring_test.go:"}},
		{"topic with a colon", func(s *server) { kanava.NewTopic[int](s.EventHub(), "a:b") }, []string{"no colon"}},
		{"topic without a hub", func(*server) { kanava.NewTopic[int](nil, "t") }, []string{"hub is nil"}},
		{"topic without JSON", func(s *server) { kanava.NewTopic[chan int](s.EventHub(), "t") }, []string{"chan int"}},
		{"push without a name", func(*server) { kanava.NewPush[int]("") }, []string{"1 to 256 bytes"}},
		{"nil function", func(*server) { kanava.OnDo[noOpen, account, text]("x", nil) }, []string{"OnDo at wiring_test.go:", "the function is nil"}},
		{"nil option", func(*server) { kanava.OnDo("x", ok, nil) }, []string{"an option of OnDo at wiring_test.go:", "nil"}},
		{"nil guard", func(*server) { kanava.Guard[noOpen, account](nil) }, []string{"Guard at wiring_test.go:"}},
		{"nil hook", func(*server) { kanava.MaySubscribe[account](nil) }, []string{"MaySubscribe at wiring_test.go:"}},
		{"nil listener", func(s *server) { s.EventHub().Listen(nil) }, []string{"Listen at wiring_test.go:"}},
		{"two hooks", func(s *server) {
			may := kanava.MaySubscribe(func(context.Context, account, string) error { return nil })
			kanava.NewTopic[int](s.EventHub(), "t", may, may)
		}, []string{`topic "t" at wiring_test.go:`, "twice"}},
		{"middleware that returns nil", func(s *server) {
			none := func(kanava.Handler) kanava.Handler { return nil }
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.With(none)))})
		}, []string{`action "x" at wiring_test.go:`, "returned nil"}},
		{"nil outgoing", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a", Outgoing: []kanava.Outgoing{nil}}) }, []string{`channel "a"`, "outgoing middleware is nil"}},
		{"input with the routing member", func(s *server) {
			type in struct {
				Action string `json:"action"`
			}
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", func(context.Context, *line, in) error { return nil }))})
		}, []string{`has a member "action"`, "rename it"}},
		{"allow nobody", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.Allow()))})
		}, []string{"lets nobody in"}},
		{"public and protected", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.Protected(), kanava.Public()))})
		}, []string{"Public and Protected contradict"}},
		{"concurrent OnConnect", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", OnConnect: kanava.ConnectFunc(func(context.Context, *line) (kanava.None, error) { return kanava.None{}, nil }, kanava.Concurrent())})
		}, []string{"OnConnect at wiring_test.go:", "Concurrent"}},
		{"negative timeout", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.Timeout(-1)))})
		}, []string{"Timeout is negative"}},
		{"rate without a burst", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Messages: by(kanava.OnDo("x", ok, kanava.RateLimit(kanava.Rate{PerSecond: 1})))})
		}, []string{"RateLimit needs"}},
		{"negative limit of kept values", func(*server) { kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Values: -1}}) }, []string{"Limits.Values is negative"}},
		{"negative rate", func(*server) {
			kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: -1, Burst: 1}}})
		}, []string{"NewServer at wiring_test.go:", "Limits.Rate"}},
		{"negative level", func(*server) { kanava.NewServer(kanava.Options[account]{Level: -1}) }, []string{"Level is negative"}},
		{"negative spread", func(*server) { kanava.NewServer(kanava.Options[account]{DrainSpread: -1}) }, []string{"DrainSpread is negative"}},
		{"negative event", func(*server) { kanava.NewEventHub(kanava.HubOptions{Event: -1}) }, []string{"NewEventHub at wiring_test.go:", "Event is negative"}},
		{"star origin", func(*server) { kanava.NewServer(kanava.Options[account]{Origins: []string{"https://*"}}) }, []string{"a star stands for"}},
		{"star inside an origin", func(*server) { kanava.NewServer(kanava.Options[account]{Origins: []string{"https://*example.com"}}) }, []string{"a star stands for"}},
		{"session that is lost as JSON", func(*server) {
			type session struct {
				ID    string
				cache map[string]string
			}
			kanava.NewServer(kanava.Options[session]{})
			_ = session{}.cache
		}, []string{"NewServer at wiring_test.go:", "session.cache"}},
		{"negative limit", func(*server) { kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Depth: -1}}) }, []string{"NewServer at wiring_test.go:", "Limits.Depth is negative"}},
		{"negative limit of values", func(*server) { kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Elements: -1}}) }, []string{"NewServer at wiring_test.go:", "Limits.Elements is negative"}},
		{"negative limit of a channel", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Limits: kanava.Limits{OpenTime: -1}})
		}, []string{`channel "a" at wiring_test.go:`, "Limits.OpenTime is negative"}},
		{"rate of a channel without a burst", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Limits: kanava.Limits{UserRate: kanava.Rate{PerSecond: 1}}})
		}, []string{`channel "a" at wiring_test.go:`, "Limits.UserRate needs a positive"}},
		{"events of a channel", func(s *server) {
			s.Wire(wiring{Name: "a", Route: "/a", Limits: kanava.Limits{Event: 1}})
		}, []string{`channel "a" at wiring_test.go:`, "Limits.Event is not a channel's"}},
		{"bad origin", func(*server) { kanava.NewServer(kanava.Options[account]{Origins: []string{"example.com"}}) }, []string{"https://app.example.com"}},
		{"bad enum", func(*server) { kanava.Enum[Role]() }, []string{"Enum at wiring_test.go:", "Role: there are no values"}},
		{"enum declared twice", func(*server) { kanava.Enum(RoleAdmin) }, []string{"Enum at wiring_test.go:", "Role: the type is already declared at example_enum_test.go:"}},
		{"union declared twice", func(*server) { kanava.OneOf("kind", map[string]Shape{"square": Square{}}) }, []string{"OneOf at wiring_test.go:", "Shape: the union is already declared at example_union_test.go:"}},
		{"bad union", func(*server) { kanava.OneOf("type", map[string]any{"a": 1}) }, []string{"OneOf at wiring_test.go:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				p := recover()
				if p == nil {
					t.Fatal("no panic")
				}
				got := fmt.Sprint(p)
				if !strings.HasPrefix(got, "kanava: ") {
					t.Errorf("the panic does not say who speaks: %s", got)
				}
				for _, want := range tc.want {
					if !strings.Contains(got, want) {
						t.Errorf("the panic lacks %q: %s", want, got)
					}
				}
			}()
			tc.wire(kanava.NewServer(kanava.Options[account]{}))
		})
	}
}
