// Package gallery is a server with every form that a manifest can have:
// generators are tested with it.
package gallery

import (
	"context"
	stdjson "encoding/json"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/gen/internal/gallery/shop"
	"github.com/kanava-go/kanava/gen/internal/gallery/stock"
)

// Opening says which part of the gallery a client looks at.
type Opening struct {
	// Room is a room of the gallery.
	Room   string    `path:"room"`
	Query  string    `json:"q" query:"q" default:"all"`
	Tags   []string  `query:"tag" json:",omitempty"`
	Since  time.Time `query:"since" header:"X-Since" json:",omitzero"`
	Origin string    `header:"Host" json:"host"`
	Limit  int       `query:"limit" default:"20" minimum:"1" maximum:"100"`
}

// Session is who has signed in.
type Session struct {
	ID string `json:"id"`
}

type channel = kanava.Channel[Opening, Session]

// Everything has a member of each kind.
type Everything struct {
	Bool     bool                          `json:"bool"`
	Int      int                           `json:"int"`
	Int8     int8                          `json:"int8"`
	Int64    int64                         `json:"int64"`
	Uint64   uint64                        `json:"uint64"`
	Float32  float32                       `json:"float32"`
	Quoted   int64                         `json:"quoted,string"`
	Text     string                        `json:"text" pattern:"^[a-z]*$"`
	Email    string                        `json:"email" format:"email"`
	Bytes    []byte                        `json:"bytes"`
	Key      [4]byte                       `json:"key"`
	Time     time.Time                     `json:"time"`
	Addr     netip.Addr                    `json:"addr"`
	Number   stdjson.Number                `json:"number"`
	Any      jsontext.Value                `json:"any"`
	Maybe    *string                       `json:"maybe"`
	Optional string                        `json:"optional,omitempty"`
	Both     *Everything                   `json:"both,omitempty"`
	List     []*int                        `json:"list"`
	Pair     [2]bool                       `json:"pair"`
	Map      map[string]shop.Item          `json:"map"`
	ByID     map[int64]stock.Item          `json:"byId"`
	Nested   map[string][]map[string]*bool `json:"nested"`
	Color    string                        `json:"color" enum:"red,green,it's \"blue\""`
	Size     int                           `json:"size" enum:"1,2,3"`
	Page     shop.Page[*shop.Item]         `json:"page"`
	Stocked  shop.Page[stock.Item]         `json:"stocked"`
	Inline   struct {
		X, Y float64
	} `json:"inline"`
	Times map[string]time.Time `json:"times"`
	Shape Shape                `json:"shape"`
	Empty kanava.None          `json:"empty"`
	Level string               `json:"level" const:"high"`
	Role  Role                 `json:"role"`
	Roles map[Role]int         `json:"roles,omitempty"`
	Staff Role                 `json:"staff" enum:"curator,guard"`
	Floor Floor                `json:"floor,string"`
}

// Role is what somebody may do.
type Role string

// Floor is a storey.
type Floor int8

var (
	_ = kanava.Enum[Role]("curator", "guard", "visitor")
	_ = kanava.Enum[Floor](-1, 0, 1)
)

// Odd has names that are no identifiers.
type Odd struct {
	Class   string `json:"class"`
	Default int    `json:"default"`
	Kebab   string `json:"kebab-case"`
	Space   string `json:"with space"`
	First   string `json:"1st"`
	Proto   string `json:"__proto__"`
	Käyttö  string // has no tag
	Comment string `json:"comment" doc:"ends with */ and <b>\n@deprecated not really"`
}

// Shape is one of several.
type Shape interface{ shape() }

// Circle is round.
type Circle struct {
	// Radius is half of it.
	Radius float64 `json:"radius" exclusiveMinimum:"0"`
}

// Group holds shapes.
type Group struct {
	Parts []Shape `json:"parts"`
	Cover Shape   `json:"cover,omitzero"`
}

// Nothing is a shape without members.
type Nothing struct{}

func (Circle) shape()  {}
func (*Group) shape()  {}
func (Nothing) shape() {}

var _ = kanava.OneOf("kind", map[string]Shape{"circle": Circle{}, "group": &Group{}, "nothing": Nothing{}})

// Tree contains itself.
type Tree struct {
	Label    string           `json:"label"`
	Children []Tree           `json:"children"`
	ByName   map[string]*Tree `json:"byName,omitempty"`
}

type hall = kanava.Channel[kanava.None, Session]

// Echo answers with what it gets.
//
// It is documented by its comment.
func Echo(_ context.Context, _ *channel, in Everything) (Everything, error) { return in, nil }

type functions struct{}

func (*functions) list(context.Context, kanava.None) ([]shop.Item, error) { return nil, nil }

// Walk sends the nodes of a tree.
func (*functions) Walk(ctx context.Context, _ *channel, in Tree, out *kanava.Stream[Tree]) error {
	return out.Send(ctx, in)
}

func (*functions) odd(_ context.Context, in Odd) (Odd, error) { return in, nil }

func (*functions) nothing(context.Context, kanava.None) error { return nil }

// Server wires the gallery.
func Server() *kanava.Server[Session] {
	srv := kanava.NewServer(kanava.Options[Session]{Level: 3})
	f := &functions{}
	odd, nothing := kanava.PlainFunc(f.odd, kanava.Public()), kanava.PlainDo(f.nothing)
	srv.Wire(
		kanava.Wiring[Opening, Session]{
			Name: "gallery", Route: "/gallery/{room}/{$}", Tags: []string{"all"},
			OnConnect: kanava.ConnectFunc(func(context.Context, *channel) (*Everything, error) { return nil, nil }),
			OnMessage: kanava.Func(func(_ context.Context, _ *channel, in Shape) (Shape, error) { return in, nil }, kanava.Public()),
			OnBinary:  kanava.BinaryFunc(func(_ context.Context, _ *channel, p []byte) ([]byte, error) { return p, nil }),
			Messages: kanava.By("action", kanava.On("echo", Echo), kanava.OnStream("walk", f.Walk, kanava.Doc("Walk\na tree", "tree", "slow"))).
				Plain("list", kanava.PlainFunc(f.list)).Plain("odd", odd).Plain("delete", nothing).Plain("on", nothing).
				Plain("close", nothing).Plain("send-to all", nothing).Plain("constructor", nothing).Plain("__proto__", nothing).
				By("kind", kanava.On("echo", func(_ context.Context, _ *channel, in Tree) (Tree, error) { return in, nil })).
				Plain("extra", odd),
			Declares: []kanava.Declared{
				kanava.NewTopic[Shape](srv.EventHub(), "shape", kanava.ClientSubscribable()), kanava.NewTopic[[]byte](srv.EventHub(), "chunk"),
				kanava.NewPush[*shop.Item]("notice"), kanava.NewPush[map[string]time.Time]("lost"), kanava.NewPush[[]byte]("raw"),
				kanava.NewClientFunc[Tree, Role]("confirm"), kanava.NewClientFunc[kanava.None, kanava.None]("ring-bell"),
				kanava.NewClientFunc[shop.Item, []shop.Item]("sort"),
			},
		},
		kanava.Wiring[kanava.None, Session]{
			Name: "hall-2", Route: "/hall", Public: true,
			OnMessage: kanava.Func(func(_ context.Context, _ *hall, in []int) (int, error) { return len(in), nil }),
		},
	)
	return srv
}
