package typemodel

import (
	"bytes"
	"context"
	"reflect"
	"slices"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// RequestPlan fills an input of one type from an HTTP request: fields with a
// path, query or header tag from there, as those of opening data, and the others
// from the body, which is a JSON object. A field with such a tag never comes from
// the body. The plan does not change and is safe for concurrent use.
type RequestPlan struct {
	given OpeningPlan // of the fields with tags
	names []string    // of their members
	body  string      // a field that comes from the body, or what does; "" if nothing does
}

// RequestOf returns the plan of a type that [Of] allows as an Input. The error
// begins with the path of the field that is not allowed.
func RequestOf(t reflect.Type) (*RequestPlan, error) {
	m, err := Of(t, Input)
	if err != nil {
		return nil, err
	}
	p := &RequestPlan{given: OpeningPlan{model: m}}
	if m.root.shape != shapeStruct {
		p.body = rootName(t)
		return p, nil
	}
	for i := range m.root.object.fields {
		f := &m.root.object.fields[i]
		if f.index == nil || !slices.ContainsFunc(sourceTags, func(kind string) bool { _, ok := f.tag.Lookup(kind); return ok }) {
			if p.body == "" {
				p.body = rootName(t) + "." + f.goName
			}
			continue
		}
		next, err := newParam(f)
		if err != nil {
			return nil, within(rootName(t)+"."+f.goName, err)
		}
		// A request has no null and no empty list: what is not given is one.
		if explicit := f.tag.Get("required") == "true"; !explicit && !f.hasDefault {
			switch {
			case next.many:
				next.absent = []byte("[]")
			case f.node.nullable:
				next.absent = []byte("null")
			}
		}
		given := *next.node
		given.noun = given.name()
		next.node = &given
		p.given.params = append(p.given.params, next)
		p.names = append(p.names, f.name)
	}
	return p, nil
}

// Model returns the model of the input.
func (p *RequestPlan) Model() *Model { return p.given.model }

// Body returns the path of what comes from the body, for messages; "" if nothing
// does.
func (p *RequestPlan) Body() string { return p.body }

// Params returns where the fields with tags come from. A name is that of the
// member in the schema of the input.
func (p *RequestPlan) Params() []Param {
	list := p.given.Params()
	for i := range list {
		list[i].Name = p.names[i]
	}
	return list
}

// PathNames is [OpeningPlan.PathNames].
func (p *RequestPlan) PathNames() []string { return p.given.PathNames() }

// Decode fills the value that into points to, which must be a zero value of the
// plan's type, from src and the body; no body is an empty object. What is wrong
// with the body as JSON is a *jsonscan.Error. Faults and Validate methods are as
// in [Model.Decode] and [OpeningPlan.Decode].
func (p *RequestPlan) Decode(ctx context.Context, src Source, body []byte, limits jsonscan.Limits, into any) ([]Fault, error) {
	if len(body) == 0 {
		body = []byte("{}")
	}
	inBody := make([]jsonscan.Member, len(p.names))
	kind, err := jsonscan.Scan(body, p.names, inBody, limits)
	if err != nil {
		return nil, err
	}
	if len(p.names) == 0 || kind != jsonscan.KindObject { // the model says what a body must be
		return p.given.model.Decode(ctx, body, into)
	}
	return p.given.decode(ctx, src, body, inBody, into)
}

// appendMembers appends the members of object, which is valid JSON or nil, to raw,
// the beginning of another, and closes it.
func appendMembers(raw, object []byte) []byte {
	more := []byte("}")
	if _, members, ok := bytes.Cut(object, []byte("{")); ok {
		more = bytes.TrimLeft(members, " \t\r\n")
	}
	if more[0] != '}' && len(raw) > 1 {
		raw = append(raw, ',')
	}
	return append(raw, more...)
}
