package gogen

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/manifest"
)

// connMethods are the methods that every channel has from its connection.
var connMethods = []string{
	"Conn", "Close", "Done", "State", "OnState", "OnLost", "OnDropped", "OnError", "OnBinary", "SendBinary", "Opened", "OnOpened", "Send",
}

// channel writes the type of one channel.
func (w *writer) channel(c *manifest.Channel) error {
	name := exported(c.Name)
	typ := name
	if w.names.taken[typ] {
		typ += "Channel"
	}
	typ = w.names.take(typ)
	options, connect, spec := w.names.take(name+"Options"), w.names.take("Connect"+name), w.names.take(unexported(c.Name)+"Spec")
	opening, params, err := w.opening(c, name)
	if err != nil {
		return err
	}
	doc := c.Doc
	if doc == "" {
		doc = fmt.Sprintf("%s is channel %s.", typ, oneLine(c.Name))
	}
	w.doc("", doc, false)
	w.linef("type %s struct{ *client.Conn }\n", typ)
	w.linef("// %s are the options of %s.", options, connect)
	w.linef("type %s = client.Options[*%s]\n", options, typ)
	w.linef("var %s = client.Spec{", spec)
	w.linef("\tPath: %q,", c.Route)
	if params != nil {
		w.linef("\tParams: []client.Param{\n%s\t},", strings.Join(params, ""))
	}
	w.linef("\tContract: %q,", w.m.Contract())
	if w.hasUnions() {
		w.linef("\tJSON: unions,")
	}
	w.linef("}\n")
	w.linef("// %s connects to the channel at url, the base of the server, and again whenever the", connect)
	w.linef("// connection is lost, until Close. It returns at once; an error is one of url or the opening data.")
	args, given := "url string, ", "nil"
	if opening != "" {
		args, given = "url string, opening "+opening+", ", "opening"
	}
	w.linef("func %s(%soptions %s) (*%s, error) {", connect, args, options, typ)
	w.linef("\treturn client.Connect(%s, url, %s, options, func(c *client.Conn) *%s { return &%s{c} })\n}\n", spec, given, typ, typ)
	return w.methods(c, typ)
}

var wildcard = regexp.MustCompile(`\{([^{}.$]+)(?:\.\.\.)?\}`)

// opening returns the type of the opening data and where its members travel. The
// Host of a request is no member: it is part of the address.
func (w *writer) opening(c *manifest.Channel, name string) (typ string, params []string, err error) {
	object := &manifest.Schema{Type: manifest.TypeNames{"object"}}
	var t *namedType
	if c.Opening != nil {
		s, err := manifest.ParseSchema(c.Opening.Type)
		if err != nil {
			return "", nil, err
		}
		object = s
		if t = w.byName[s.Refers()]; t != nil {
			object = t.schema
		}
	}
	var kept manifest.Properties
	filled := map[string]bool{}
	if c.Opening != nil {
		for _, p := range c.Opening.Params {
			filled[p.Path] = true
			i := slices.IndexFunc(object.Properties, func(x manifest.Property) bool { return x.Name == p.Name })
			if i < 0 || p.Path == "" && p.Query == "" && strings.EqualFold(p.Header, "Host") {
				continue
			}
			kept = append(kept, object.Properties[i])
			params = append(params, fmt.Sprintf("\t\t{Name: %q, Path: %q, Query: %q, Header: %q},\n", p.Name, p.Path, p.Query, p.Header))
		}
	}
	for _, m := range wildcard.FindAllStringSubmatch(c.Route, -1) {
		if !filled[m[1]] {
			kept = append(kept, manifest.Property{Name: m[1], Schema: &manifest.Schema{Type: manifest.TypeNames{"string"}}})
			params = append(params, fmt.Sprintf("\t\t{Name: %q, Path: %q},\n", m[1], m[1]))
		}
	}
	if len(kept) == 0 {
		if t != nil {
			w.list = slices.DeleteFunc(w.list, func(x *namedType) bool { return x == t })
		}
		return "", nil, nil
	}
	object.Properties = kept
	if t == nil {
		t = &namedType{name: w.names.take(name + "Opening"), schema: object}
		w.list = append(w.list, t)
	}
	return t.name, params, nil
}

func (w *writer) methods(c *manifest.Channel, typ string) error {
	taken := newNames(connMethods...)
	var err error
	of := func(raw jsontext.Value) string {
		if raw == nil || err != nil {
			return ""
		}
		var s *manifest.Schema
		if s, err = manifest.ParseSchema(raw); err != nil {
			return ""
		}
		return w.inside(s)
	}
	var opened jsontext.Value
	if c.Connect != nil {
		opened = c.Connect.Out
	}
	w.opened(typ, of(opened))
	if f := c.Message; f != nil {
		doc := f.Doc
		if doc == "" {
			doc = "Send sends a message that names no action."
		}
		w.call(typ, method{name: "Send", doc: doc, in: of(f.In), out: of(f.Out)})
	}
	for _, a := range c.Actions {
		m := method{name: exported(a.Name), doc: a.Doc, by: a.By, action: a.Name, in: of(a.In), out: of(a.Out)}
		if a.By == c.Keys[0] {
			m.by = ""
		} else if taken.taken[m.name] {
			m.name += "By" + exported(a.By)
		}
		m.name = taken.take(m.name)
		if a.Stream {
			w.stream(typ, m)
		} else {
			w.call(typ, m)
		}
	}
	for _, t := range c.Topics {
		event := of(t.Event)
		one, every := taken.take("On"+exported(t.Name)), taken.take("OnEvery"+exported(t.Name))
		w.linef("// %s tells f the events of topic %s:key.", one, oneLine(t.Name))
		w.linef("func (c *%s) %s(key string, f func(%s)) *client.Listener {", typ, one, event)
		w.linef("\treturn client.OnTopic(c.Conn, %q, key, func(v %s, _ client.Topic) { f(v) })\n}\n", t.Name, event)
		w.linef("// %s tells f the events of all topics %s:<key>.", every, oneLine(t.Name))
		w.linef("func (c *%s) %s(f func(%s, client.Topic)) *client.Listener {", typ, every, event)
		w.linef("\treturn client.OnTopics(c.Conn, %q, f)\n}\n", t.Name)
	}
	for _, t := range c.Topics {
		if t.Subscribable {
			name := taken.take("Subscribe" + exported(t.Name))
			w.linef("// %s subscribes to the topic %s:key, on each connection until it is stopped.", name, oneLine(t.Name))
			w.linef("func (c *%s) %s(ctx context.Context, key string) (*client.Subscription, error) {", typ, name)
			w.linef("\treturn client.Subscribe(ctx, c.Conn, %q+key)\n}\n", t.Name+":")
		}
	}
	for _, p := range c.Presences {
		member, label := of(p.Member), oneLine(p.Name)
		one, every := taken.take("On"+exported(p.Name)+"Presence"), taken.take("OnEvery"+exported(p.Name)+"Presence")
		list := taken.take(exported(p.Name) + "Members")
		w.linef("// %s tells f who is there in %s:key, at first and whenever that changes, while the", one, label)
		w.linef("// connection is subscribed to the topic of that name.")
		w.linef("func (c *%s) %s(key string, f func(client.Presence[%s])) *client.Listener {", typ, one, member)
		w.linef("\treturn client.OnPresence(c.Conn, %q, key, f)\n}\n", p.Name)
		w.linef("// %s is %s for all keys.", every, one)
		w.linef("func (c *%s) %s(f func(client.Presence[%s])) *client.Listener {", typ, every, member)
		w.linef("\treturn client.OnPresences(c.Conn, %q, f)\n}\n", p.Name)
		w.linef("// %s goes through who is there in %s:key, a page at a time.", list, label)
		w.linef("func (c *%s) %s(ctx context.Context, key string) iter.Seq2[client.Member[%s], error] {", typ, list, member)
		w.linef("\treturn client.Members[%s](ctx, c.Conn, %q+key)\n}\n", member, p.Name+":")
	}
	for _, p := range c.Pushes {
		if value := of(p.Value); !p.Bytes { // those have no name on the wire
			name := taken.take("On" + exported(p.Name))
			w.linef("// %s tells f the values of push %s.", name, oneLine(p.Name))
			w.linef("func (c *%s) %s(f func(%s)) *client.Listener {\n\treturn client.OnPush(c.Conn, %q, f)\n}\n", typ, name, value, p.Name)
		}
	}
	for _, f := range c.ClientFuncs {
		w.handler(typ, taken.take("Handle"+exported(f.Name)), f.Name, of(f.In), of(f.Out))
	}
	return err
}

type method struct {
	name, doc, by, action string
	in, out               string // types; "" where there is none
}

// docOf writes the doc of a method, which begins with its name as in Go.
func (w *writer) docOf(m method) {
	doc := m.doc
	switch {
	case doc == "":
		doc = fmt.Sprintf("%s calls %s.", m.name, m.action)
	case !strings.HasPrefix(doc, m.name):
		doc = m.name + ": " + doc
	}
	w.doc("", doc, false)
}

func (w *writer) opened(typ, out string) {
	w.linef("// Opened waits until the channel is open for the first time.")
	if out == "" {
		w.linef("func (c *%s) Opened(ctx context.Context) error {\n\t_, err := client.Opened[struct{}](ctx, c.Conn)\n\treturn err\n}\n", typ)
		w.linef("// OnOpened tells f of each connection that is open. Options.Setup is the place for it.")
		w.linef("func (c *%s) OnOpened(f func()) *client.Listener {\n\treturn client.OnOpened(c.Conn, func(struct{}) { f() })\n}\n", typ)
		return
	}
	w.linef("func (c *%s) Opened(ctx context.Context) (%s, error) {\n\treturn client.Opened[%s](ctx, c.Conn)\n}\n", typ, out, out)
	w.linef("// OnOpened tells f of each connection that is open. Options.Setup is the place for it.")
	w.linef("func (c *%s) OnOpened(f func(%s)) *client.Listener {\n\treturn client.OnOpened(c.Conn, f)\n}\n", typ, out)
}

func (w *writer) call(typ string, m method) {
	w.docOf(m)
	args, in := "ctx context.Context, ", "nil"
	if m.in != "" {
		args, in = "ctx context.Context, in "+m.in+", ", "in"
	}
	if m.out == "" {
		w.linef("func (c *%s) %s(%soptions ...client.CallOption) error {", typ, m.name, args)
		w.linef("\treturn client.Do(ctx, c.Conn, %q, %q, %s, options...)\n}\n", m.by, m.action, in)
		return
	}
	w.linef("func (c *%s) %s(%soptions ...client.CallOption) (%s, error) {", typ, m.name, args, m.out)
	w.linef("\treturn client.Call[%s](ctx, c.Conn, %q, %q, %s, options...)\n}\n", m.out, m.by, m.action, in)
}

func (w *writer) stream(typ string, m method) {
	w.docOf(m)
	args, in := "ctx context.Context", "nil"
	if m.in != "" {
		args, in = "ctx context.Context, in "+m.in, "in"
	}
	w.linef("func (c *%s) %s(%s) iter.Seq2[%s, error] {", typ, m.name, args, m.out)
	w.linef("\treturn client.Stream[%s](ctx, c.Conn, %q, %q, %s)\n}\n", m.out, m.by, m.action, in)
}

// handler writes how a program answers what the server asks.
func (w *writer) handler(typ, name, wire, in, out string) {
	w.linef("// %s answers the server's calls of %s with f.", name, oneLine(wire))
	given, result, back := "ctx", "error", "struct{}{}, "
	outType := "struct{}"
	if out != "" {
		result, back, outType = "("+out+", error)", "", out
	}
	inType := "struct{}"
	args := "context.Context"
	if in != "" {
		inType, given, args = in, "ctx, in", "context.Context, "+in
	}
	w.linef("func (c *%s) %s(f func(%s) %s) *client.Listener {", typ, name, args, result)
	if in != "" && out != "" {
		w.linef("\treturn client.Handle(c.Conn, %q, f)\n}\n", wire)
		return
	}
	inName := "_"
	if in != "" {
		inName = "in"
	}
	w.linef("\treturn client.Handle(c.Conn, %q, func(ctx context.Context, %s %s) (%s, error) {", wire, inName, inType, outType)
	w.linef("\t\treturn %sf(%s)\n\t})\n}\n", back, given)
}
