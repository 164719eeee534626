// Package typemodel has one model for each Go type that crosses the wire or is
// kept in a store: whether the type is allowed, what its JSON looks like, and
// how JSON is checked and decoded into it.
//
// A type is checked when its model is built: [Of] refuses what has no one JSON
// form, and tags that it does not know how to obey. Input is checked by a walk
// over its bytes together with the model, which finds every fault; then the
// JSON library decodes it strictly and has the last word.
//
// A member is required unless its field is omitempty, omitzero or
// required:"false", or has a default. Null is for pointers and for types that
// decode themselves.
// Members that the type does not have are faults, and so are members that stand
// twice.
//
// What a store gives back is our own: it is decoded as strictly, but constraints
// and Validate methods do not apply, and required:"true" does not either.
package typemodel

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava/internal/jsonplan"
)

// Use says what a type is used for. It decides what is allowed in it.
type Use uint8

// The uses.
const (
	Input   Use = iota // a message of a client
	Output             // what is sent to clients
	Stored             // a session or value kept in a store: must survive JSON both ways
	Opening            // opening data: filled from path, query and header, and stored

	storedOpening // opening data read back from a store
)

// Kind says what JSON a type can have, so that callers know whether it may be
// an object.
type Kind uint8

// The kinds. A pointer has the kind of what it points to; see Model.Nullable.
const (
	Any     Kind = iota // any JSON: raw JSON, any, a type with JSON methods
	Object              // an object with the members that Members lists
	Union               // an object with the members of one of several variants
	Map                 // an object with any members
	Array               // an array
	String              // a string
	Number              // a number
	Boolean             // a boolean
)

// Model is what is known of one Go type in one use. It does not change and is
// safe for concurrent use.
type Model struct {
	typ      reflect.Type
	use      Use
	root     *node
	decoding json.Options
	encoding json.Options // nil: none
	direct   map[reflect.Type][]byte
	plan     *jsonplan.Plan // nil: the JSON library does it all
	validate bool           // the type or a part of it has a Validate method
}

// Member is a member of an object.
type Member struct {
	Name     string
	Required bool // in a union: in every variant
	Kind     Kind
	Doc      string
}

var models sync.Map // of *Model by modelKey

type modelKey struct {
	typ reflect.Type
	use Use
}

// Of returns the model of t. Models are built once for each type and use. The
// error begins with the path of the field that is not allowed and says what to
// do about it:
//
//	Order.Items[].Price: time.Duration has no JSON form; use ...
func Of(t reflect.Type, use Use) (*Model, error) {
	key := modelKey{t, use}
	if m, ok := models.Load(key); ok {
		return m.(*Model), nil
	}
	m, err := build(t, use)
	if err != nil {
		return nil, within(rootName(t), err)
	}
	stored, _ := models.LoadOrStore(key, m)
	return stored.(*Model), nil
}

func build(t reflect.Type, use Use) (*Model, error) {
	b := &builder{
		use: use, objects: map[reflect.Type]*object{}, unions: map[*union]bool{}, types: map[reflect.Type]bool{},
	}
	root, err := b.node(t)
	if err == nil {
		err = b.strangers()
	}
	if err != nil {
		return nil, err
	}
	m := &Model{typ: t, use: use, root: root, direct: root.direct()}
	m.validate = b.markValidators(root) && !b.stored()
	m.setOptions(b)
	return m, m.checkTagValues()
}

// setOptions prepares the options of the JSON library. Functions for types slow
// everything down, so they are there only if the model needs them.
func (m *Model) setOptions(b *builder) {
	var marshalers []*json.Marshalers
	var unmarshalers []*json.Unmarshalers
	for u := range b.unions {
		marshalers = append(marshalers, u.marshalers)
		unmarshalers = append(unmarshalers, u.unmarshalers)
	}
	if b.numbers {
		marshalers = append(marshalers, numberMarshaler)
		unmarshalers = append(unmarshalers, numberUnmarshaler)
	}
	if b.urls {
		marshalers = append(marshalers, urlMarshaler)
		unmarshalers = append(unmarshalers, urlUnmarshaler)
	}
	// With unions the discriminator is an unknown member to the library; the
	// walker has refused the others.
	m.decoding = json.RejectUnknownMembers(len(b.unions) == 0)
	if len(marshalers) > 0 {
		m.decoding = json.JoinOptions(m.decoding, json.WithUnmarshalers(json.JoinUnmarshalers(unmarshalers...)))
		m.encoding = json.WithMarshalers(json.JoinMarshalers(marshalers...))
	} else {
		m.plan = jsonplan.Of(m.typ)
	}
}

// String returns the name of the type.
func (m *Model) String() string { return fmt.Sprint(m.typ) }

// Type returns the type.
func (m *Model) Type() reflect.Type { return m.typ }

// Kind returns what JSON the type has.
func (m *Model) Kind() Kind { return m.root.kind() }

// Nullable reports whether the JSON may be null instead.
func (m *Model) Nullable() bool { return m.root.nullable }

// Members returns the members of an Object in the order in which they are
// encoded, and of a Union those of all variants, the discriminator first. It
// returns nil for other kinds.
func (m *Model) Members() []Member {
	switch m.root.shape {
	case shapeStruct:
		return mergeMembers([]*object{m.root.object})
	case shapeUnion:
		return mergeMembers(m.root.variants)
	}
	return nil
}

func mergeMembers(objects []*object) []Member {
	members := []Member{}
	index := map[string]int{}
	count := map[string]int{}
	for _, o := range objects {
		for i := range o.fields {
			f := &o.fields[i]
			next := Member{Name: f.name, Required: f.required, Kind: f.node.kind(), Doc: f.doc}
			count[f.name]++
			at, ok := index[f.name]
			if !ok {
				index[f.name] = len(members)
				members = append(members, next)
				continue
			}
			old := &members[at]
			old.Required = old.Required && next.Required
			if old.Kind != next.Kind {
				old.Kind = Any
			}
		}
	}
	for i := range members {
		members[i].Required = members[i].Required && count[members[i].Name] == len(objects)
	}
	return members
}
