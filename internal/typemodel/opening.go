package typemodel

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// Source is what opening data is filled from: the request that opens a channel.
type Source interface {
	// Path returns the value of a wildcard of the route.
	Path(name string) (string, bool)
	// Query returns the values of a query parameter, nil if there are none.
	Query(name string) []string
	// Header returns the values of a header, nil if there are none. Host is
	// among the headers.
	Header(name string) []string
}

// OpeningPlan fills opening data of one type from a Source. It does not change
// and is safe for concurrent use.
type OpeningPlan struct {
	model  *Model // of what a client gives
	stored *Model
	params []param
}

// param is one field of opening data.
type param struct {
	field   *field
	node    *node // of one value: the element of a slice
	many    bool  // a slice: repeated values
	sources []paramSource
	absent  []byte // JSON that stands for the field if it is not given; nil: its default, or nothing
}

type paramSource struct{ kind, name string }

// sourceTags are the tags that name a source, in the order in which they are
// looked at.
var sourceTags = []string{"path", "query", "header"}

// secretHeaders are refused: opening data is stored, and shown in logs.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Sec-Websocket-Protocol"}

// OpeningOf returns the plan of a struct whose fields have path, query or header
// tags. The struct must survive JSON too, because it is stored; Model has its
// model. The error begins with the path of the field that is not allowed.
func OpeningOf(t reflect.Type) (*OpeningPlan, error) {
	if t.Kind() != reflect.Struct {
		return nil, within(rootName(t), errors.New("opening data is a struct with path, query or header tags"))
	}
	m, err := Of(t, Opening)
	if err != nil {
		return nil, err
	}
	if m.root.shape != shapeStruct {
		return nil, within(rootName(t), errors.New("opening data cannot encode itself; its fields are filled one by one"))
	}
	stored, err := Of(t, storedOpening)
	if err != nil {
		return nil, err
	}
	p := &OpeningPlan{model: m, stored: stored}
	for i := range m.root.object.fields {
		f := &m.root.object.fields[i]
		next, err := newParam(f)
		if err != nil {
			return nil, within(rootName(t)+"."+f.goName, err)
		}
		p.params = append(p.params, next)
	}
	return p, nil
}

func newParam(f *field) (p param, err error) {
	p = param{field: f, node: f.node}
	if f.index == nil {
		return p, errors.New("a variant of a union cannot be opening data")
	}
	if f.node.shape == shapeArray && f.node.length < 0 {
		p.node, p.many = f.node.elem, true
		p.absent = []byte("[]")
	}
	switch p.node.shape {
	case shapeString, shapeText, shapeTime, shapeURL, shapeBool, shapeInt, shapeUint, shapeFloat:
	default:
		return p, fmt.Errorf("%s cannot be read from a path, query or header; use a string, boolean, number, time, url.URL, a type with UnmarshalText, or a slice of these", typeName(f.typ))
	}
	for _, kind := range sourceTags {
		name, ok := f.tag.Lookup(kind)
		if !ok {
			continue
		}
		if err := checkSource(kind, name, p.many); err != nil {
			return p, err
		}
		p.sources = append(p.sources, paramSource{kind, name})
	}
	if len(p.sources) == 0 {
		return p, errors.New("opening data needs a path, query or header tag to say where it comes from; exclude the field with `json:\"-\"`")
	}
	if f.required || f.hasDefault {
		p.absent = nil
	}
	return p, nil
}

func checkSource(kind, name string, many bool) error {
	switch {
	case name == "" || strings.ContainsAny(name, " \t\r\n\"{}"):
		return fmt.Errorf("%s:%q is no name", kind, name)
	case kind == "path" && many:
		return errors.New("a path has one value; a slice cannot be filled from it")
	case kind == "header" && slices.Contains(secretHeaders, textproto.CanonicalMIMEHeaderKey(name)):
		return fmt.Errorf("the header %s carries credentials, which are for Options.Authenticate alone", name)
	}
	return nil
}

// Model returns the model with which opening data is stored and read back. It
// does not check constraints again.
func (p *OpeningPlan) Model() *Model { return p.stored }

// Param says where a field of opening data travels.
type Param struct {
	Name                string // as clients know it; see [Schemas]
	Path, Query, Header string // "" where it does not
	Many                bool   // a slice: repeated values
}

// Params returns where the fields come from, in their order.
func (p *OpeningPlan) Params() []Param {
	list := make([]Param, len(p.params))
	for i := range p.params {
		from := &p.params[i]
		list[i] = Param{
			Name: p.model.root.object.nameFor(from.field, Opening), Many: from.many,
			Path: from.field.tag.Get("path"), Query: from.field.tag.Get("query"), Header: from.field.tag.Get("header"),
		}
	}
	return list
}

// nameFor returns the name by which clients know a field: its JSON name, but for
// opening data without one of its own the name of its first source, unless
// another field has that.
func (o *object) nameFor(f *field, use Use) string {
	if use != Opening || f.named {
		return f.name
	}
	for _, kind := range sourceTags {
		if name := f.tag.Get(kind); name != "" {
			for i := range o.fields {
				if other := &o.fields[i]; other.index != nil && other.goName != f.goName && (other.name == name || !other.named && other.tag.Get(kind) == name) {
					return f.name
				}
			}
			return name
		}
	}
	return f.name
}

// PathNames returns the names of the wildcards that the route must have, in the
// order of the fields. A field that may also come from elsewhere, or be absent,
// is among them too.
func (p *OpeningPlan) PathNames() []string {
	var names []string
	for i := range p.params {
		for _, s := range p.params[i].sources {
			if s.kind == "path" && !slices.Contains(names, s.name) {
				names = append(names, s.name)
			}
		}
	}
	return names
}

// Decode fills the value that into points to, which must be a zero value of the
// plan's type. Faults and Validate methods are as in [Model.Decode]; messages
// name where the value came from, and so do pointers to fields without a JSON
// name. Faults are in the order of the fields.
func (p *OpeningPlan) Decode(ctx context.Context, src Source, into any) ([]Fault, error) {
	return p.decode(ctx, src, nil, nil, into)
}

// decode is Decode with more members, which body has and params do not: where
// inBody says that it has those all the same, that is a fault.
func (p *OpeningPlan) decode(ctx context.Context, src Source, body []byte, inBody []jsonscan.Member, into any) ([]Fault, error) {
	raw := []byte{'{'}
	used := make([]string, len(p.params))   // which source, for messages
	broken := make([]string, len(p.params)) // what is wrong before JSON
	for i := range p.params {
		param := &p.params[i]
		var value []byte
		value, used[i], broken[i] = param.read(src)
		if inBody != nil && inBody[i].Found() {
			value, broken[i] = nil, "is the place for it, not the body"
		}
		if value == nil {
			continue
		}
		if len(raw) > 1 {
			raw = append(raw, ',')
		}
		raw, _ = jsontext.AppendQuote(raw, param.field.name)
		raw = append(append(raw, ':'), value...)
	}
	raw = appendMembers(raw, body)
	found, raw := inspect(p.model.root, raw)
	if faults := p.faults(found, used, broken); len(faults) > 0 {
		return p.asClientsKnow(faults), nil
	}
	faults, err := p.model.decodeChecked(ctx, raw, into)
	for i := range faults { // what a text type refuses
		if n := p.paramAt(faults[i].Pointer); n >= 0 {
			faults[i].Message = used[n] + " " + faults[i].Message
		}
	}
	return p.asClientsKnow(faults), err
}

// asClientsKnow puts the name of the source into the pointers to fields that
// have no JSON name of their own: clients do not know the names of Go.
func (p *OpeningPlan) asClientsKnow(faults []Fault) []Fault {
	for i := range faults {
		n := p.paramAt(faults[i].Pointer)
		if n < 0 {
			continue
		}
		f := p.params[n].field
		if name, _, _ := strings.Cut(f.tag.Get("json"), ","); name == "" {
			own := appendEscaped([]byte{'/'}, f.name)
			source := appendEscaped([]byte{'/'}, p.params[n].sources[0].name)
			faults[i].Pointer = string(source) + faults[i].Pointer[len(own):]
		}
	}
	return faults
}

// faults joins what is wrong with the JSON and what was wrong before.
func (p *OpeningPlan) faults(found []Fault, used, broken []string) []Fault {
	byParam := make([][]Fault, len(p.params)+1)
	for i, message := range broken {
		if message != "" {
			pointer := string(appendEscaped([]byte{'/'}, p.params[i].field.name))
			byParam[i] = []Fault{{pointer, used[i] + " " + message}}
		}
	}
	for _, f := range found {
		i := p.paramAt(f.Pointer)
		switch {
		case i < 0:
			byParam[len(p.params)] = append(byParam[len(p.params)], f)
		case broken[i] == "":
			byParam[i] = append(byParam[i], Fault{f.Pointer, used[i] + " " + f.Message})
		}
	}
	return slices.Concat(byParam...)
}

// paramAt returns the index of the field that a pointer leads to, or -1.
func (p *OpeningPlan) paramAt(pointer string) int {
	for i := range p.params {
		prefix := string(appendEscaped([]byte{'/'}, p.params[i].field.name))
		if rest, ok := strings.CutPrefix(pointer, prefix); ok && (rest == "" || rest[0] == '/') {
			return i
		}
	}
	return -1
}

// read returns the field's JSON from the first source that has it, nil if none
// has; the name of the source for messages; and what is wrong with the value.
func (p *param) read(src Source) (raw []byte, used, broken string) {
	var all []string
	for _, s := range p.sources {
		used = fmt.Sprintf("%s %q", s.kind, s.name)
		all = append(all, used)
		values := s.values(src)
		switch {
		case len(values) == 0:
			continue
		case p.many:
			raw, broken = p.appendArray(values)
		case len(values) > 1:
			broken = "is given more than once"
		default:
			raw, broken = p.node.appendJSON(nil, values[0])
		}
		if broken != "" {
			raw = nil
		}
		return raw, used, broken
	}
	return p.absent, strings.Join(all, " or "), ""
}

func (s paramSource) values(src Source) []string {
	switch s.kind {
	case "path":
		if v, ok := src.Path(s.name); ok {
			return []string{v}
		}
		return nil
	case "query":
		return src.Query(s.name)
	}
	return src.Header(s.name)
}

func (p *param) appendArray(values []string) (raw []byte, broken string) {
	raw = []byte{'['}
	for i, text := range values {
		if i > 0 {
			raw = append(raw, ',')
		}
		if raw, broken = p.node.appendJSON(raw, text); broken != "" {
			return nil, broken
		}
	}
	return append(raw, ']'), ""
}
