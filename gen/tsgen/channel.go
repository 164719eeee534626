package tsgen

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/manifest"
)

// Types of the run-time that generated code names.
const (
	optionsType    = "KanavaOptions"
	callOptions    = "KanavaCallOptions"
	connectionType = "KanavaConnection"
	askedType      = "KanavaAsked"
)

// channel is a channel with the names that its parts have in the client.
type channel struct {
	*manifest.Channel
	connect, face, typ string
	opening            *opening
	opened             *manifest.Schema
	methods            []method
	by                 []keyed // actions of further routing members whose names are taken
	listeners          []listener
	asked              []method // the client's own functions
	presences          []listener
	subscribable       []listener // topics that clients subscribe to themselves
}

type keyed struct {
	key, name string
	methods   []method
}

type method struct {
	name, by, action string
	doc              string
	in, out          *manifest.Schema // nil: none
	stream           bool
}

type listener struct {
	name, wire string
	topic      bool
	value      *manifest.Schema
	bytes      bool
}

// Names that a channel has already, or that mean something to the language.
var (
	reservedMethods = []string{
		"on", "by", "send", "sendBinary", "opened", "state", "close", "handle", "call", "then",
		"constructor", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf", "toLocaleString",
	}
	objectMembers  = reservedMethods[10:]
	reservedEvents = append([]string{"opened", "state", "lost", "binary", "error", "dropped"}, reservedMethods[9:]...)
)

func reserved(list []string) *names {
	n := &names{taken: map[string]bool{}}
	for _, name := range list {
		n.taken[name] = true
	}
	return n
}

func (w *writer) newChannel(m *manifest.Channel, types, values *names) (*channel, error) {
	c := &channel{Channel: m}
	name := pascal(m.Name)
	c.typ = types.take(name + "Channel")
	c.connect = values.take("connect" + name)
	c.face = values.take(camel(m.Name) + "Channel")
	var err error
	schema := func(raw jsontext.Value) *manifest.Schema {
		if raw == nil || err != nil {
			return nil
		}
		var s *manifest.Schema
		s, err = manifest.ParseSchema(raw)
		return s
	}
	if m.Opening != nil {
		if c.opening, err = w.newOpening(m, schema(m.Opening.Type), types); err != nil {
			return nil, err
		}
	} else {
		c.opening = &opening{path: pathOf(m.Route)}
		c.opening.wildcards(m.Route)
	}
	if m.Connect != nil {
		c.opened = schema(m.Connect.Out)
	}
	methods := reserved(reservedMethods)
	inside := func() *names { return reserved(reservedMethods[9:]) }
	if present := inside(); m.Presences != nil {
		methods.taken["presence"] = true
		for _, p := range m.Presences {
			c.presences = append(c.presences, listener{name: present.take(camel(p.Name)), wire: p.Name, value: schema(p.Member)})
		}
	}
	subscribe := inside()
	for _, t := range m.Topics {
		if t.Subscribable {
			methods.taken["subscribe"] = true
			c.subscribable = append(c.subscribable, listener{name: subscribe.take(camel(t.Name)), wire: t.Name})
		}
	}
	for i := range m.Actions {
		a := &m.Actions[i]
		next := method{name: camel(a.Name), by: a.By, action: a.Name, doc: a.Doc, in: schema(a.In), out: schema(a.Out), stream: a.Stream}
		if a.By == m.Keys[0] {
			next.by = ""
		} else if methods.taken[next.name] {
			c.addKeyed(next)
			continue
		}
		next.name = methods.take(next.name)
		c.methods = append(c.methods, next)
	}
	events := reserved(reservedEvents)
	for _, t := range m.Topics {
		c.listeners = append(c.listeners, listener{events.take(camel(t.Name)), t.Name, true, schema(t.Event), t.Bytes})
	}
	for _, p := range m.Pushes {
		if !p.Bytes { // those have no name on the wire
			c.listeners = append(c.listeners, listener{events.take(camel(p.Name)), p.Name, false, schema(p.Value), false})
		}
	}
	handlers := inside()
	for _, f := range m.ClientFuncs {
		c.asked = append(c.asked, method{name: handlers.take(camel(f.Name)), action: f.Name, in: schema(f.In), out: schema(f.Out)})
	}
	return c, err
}

func (c *channel) addKeyed(m method) {
	i := slices.IndexFunc(c.by, func(k keyed) bool { return k.key == m.by })
	if i < 0 {
		taken := reserved(reservedMethods[9:])
		for _, k := range c.by {
			taken.taken[k.name] = true
		}
		i = len(c.by)
		c.by = append(c.by, keyed{key: m.by, name: taken.take(camel(m.by))})
	}
	taken := reserved(reservedMethods[9:])
	for _, other := range c.by[i].methods {
		taken.taken[other.name] = true
	}
	m.name = taken.take(m.name)
	c.by[i].methods = append(c.by[i].methods, m)
}

// opening is what a client gives, and how it travels.
type opening struct {
	typ      string // of the argument, "" if there is none
	optional bool
	path     string   // pattern
	query    []string // names of parameters
	mapped   []string // members of the object that the run-time gets; nil: the argument as it is
}

var wildcard = regexp.MustCompile(`\{([^{}.$]+)(?:\.\.\.)?\}`)

func pathOf(route string) string { return strings.ReplaceAll(route, "{$}", "") }

// newOpening decides what clients give. A member that only a header carries is
// not among it: browsers cannot set one. A wildcard of the route that no member
// takes is.
func (w *writer) newOpening(c *manifest.Channel, s *manifest.Schema, types *names) (*opening, error) {
	o := &opening{path: pathOf(c.Route)}
	object := s
	if s != nil && s.Refers() != "" {
		object = w.byName[s.Refers()].schema
		o.typ = w.byName[s.Refers()].name
	} else {
		o.typ = types.take(pascal(c.Name) + "Opening")
		w.list = append(w.list, &namedType{name: o.typ, schema: object})
	}
	if object == nil {
		return nil, fmt.Errorf("the opening data is no object")
	}
	var kept manifest.Properties
	o.optional = true
	same, sent := true, map[string]bool{}
	for _, p := range c.Opening.Params {
		i := slices.IndexFunc(object.Properties, func(x manifest.Property) bool { return x.Name == p.Name })
		if i < 0 || p.Path == "" && p.Query == "" {
			continue
		}
		member := object.Properties[i]
		value := property("opening", p.Name)
		if w.o.Dates && member.Schema.Format == "date-time" {
			value, same = value+"?.toISOString()", false
		} else if w.o.Dates && member.Schema.Items != nil && member.Schema.Items.Format == "date-time" {
			value, same = value+"?.map((time) => time.toISOString())", false
		}
		name := p.Path
		if p.Path != "" {
			member.Optional = false
		} else {
			name = p.Query
		}
		if sent[name] {
			continue // two members from one place: the first stands for both
		}
		sent[name] = true
		if p.Path == "" {
			o.query = append(o.query, name)
		}
		same = same && name == p.Name
		o.mapped = append(o.mapped, entry(name, value))
		// An empty object has members of these names, of other types.
		o.optional = o.optional && member.Optional && !slices.Contains(objectMembers, member.Name)
		kept = append(kept, member)
	}
	for _, name := range unfilled(c) {
		kept = append(kept, manifest.Property{Name: name, Schema: &manifest.Schema{Type: manifest.TypeNames{"string"}}})
		o.mapped = append(o.mapped, entry(name, property("opening", name)))
		o.optional = false
	}
	if same {
		o.mapped = nil
	}
	copied := *object
	copied.Properties = kept
	for _, t := range w.list {
		if t.schema == object {
			t.schema, t.opening = &copied, true
		}
	}
	if len(kept) == 0 {
		o.typ = ""
	}
	return o, nil
}

// unfilled returns the wildcards of a route that no parameter takes.
func unfilled(c *manifest.Channel) []string {
	var list []string
	for _, m := range wildcard.FindAllStringSubmatch(c.Route, -1) {
		if c.Opening == nil || !slices.ContainsFunc(c.Opening.Params, func(p manifest.Param) bool { return p.Path == m[1] }) {
			list = append(list, m[1])
		}
	}
	return list
}

// wildcards makes an argument of the wildcards of a route without opening data.
func (o *opening) wildcards(route string) {
	var members []string
	for _, name := range unfilled(&manifest.Channel{Route: route}) {
		members = append(members, member(name)+": string")
	}
	if members != nil {
		o.typ = "{ " + strings.Join(members, "; ") + " }"
	}
}

// channel writes what a client has of one channel.
func (w *writer) channel(c *channel) {
	if !w.o.JS {
		w.line("")
		w.doc("", cmpDoc(c.Doc, "Channel "+c.Name+"."), false)
		w.interfaceOf(c)
	}
	w.line("")
	w.doc("", fmt.Sprintf("Connects to channel %s at url, the server's base such as \"https://example.com\" (in a browser undefined is the page's "+
		"own), and again whenever the connection is lost. It returns at once: calls wait until the channel is open.%s", c.Name, headersNote(c.Channel)), false)
	w.connectFunction(c)
	w.line("")
	w.faceOf(c)
}

func cmpDoc(doc, otherwise string) string {
	if doc != "" {
		return doc
	}
	return otherwise
}

// headersNote tells of opening data that only headers carry.
func headersNote(c *manifest.Channel) string {
	var headers []string
	if c.Opening != nil {
		for _, p := range c.Opening.Params {
			if p.Path == "" && p.Query == "" && !strings.EqualFold(p.Header, "Host") {
				headers = append(headers, p.Header)
			}
		}
	}
	if headers == nil {
		return ""
	}
	return "\n\nThe server reads the headers " + strings.Join(headers, ", ") + ": browsers cannot set them, elsewhere options.headers does."
}

func (w *writer) interfaceOf(c *channel) {
	w.linef("export interface %s extends KanavaChannel<%s> {", c.typ, w.result(c.opened))
	for _, m := range c.methods {
		w.methodType("  ", m)
	}
	if c.by != nil {
		w.line("  /** Actions by further routing members, where their names are taken. */")
		w.line("  readonly by: {")
		for _, k := range c.by {
			w.linef("    readonly %s: {", member(k.name))
			for _, m := range k.methods {
				w.methodType("      ", m)
			}
			w.line("    };")
		}
		w.line("  };")
	}
	if f := c.Message; f != nil {
		w.methodType("  ", messageMethod(f))
	}
	events := "KanavaEvents<" + w.result(c.opened) + ">"
	if c.listeners == nil {
		w.linef("  readonly on: %s;", events)
	} else {
		w.linef("  readonly on: %s & {", events)
	}
	for _, l := range c.listeners {
		value := w.typeText(l.value, "    ")
		if l.bytes {
			value = "Uint8Array"
		}
		if l.topic {
			w.doc("    ", "Events of the topics "+l.wire+":<key>.", false)
			w.linef("    readonly %s: KanavaOn<%s>;", member(l.name), value)
		} else {
			w.linef("    %s(listener: (value: %s) => void): () => void;", member(l.name), value)
		}
	}
	if c.listeners != nil {
		w.line("  };")
	}
	if c.presences != nil {
		w.line("  /** Who is there. */")
		w.line("  readonly presence: {")
		for _, p := range c.presences {
			w.doc("    ", "At the topics "+p.wire+":<key> that the client is subscribed to.", false)
			w.linef("    readonly %s: KanavaPresences<%s>;", member(p.name), w.typeText(p.value, "    "))
		}
		w.line("  };")
	}
	if c.subscribable != nil {
		w.line("  /** Subscribes, until what comes back is called. */")
		w.line("  readonly subscribe: {")
		for _, t := range c.subscribable {
			w.doc("    ", "To the topic "+t.wire+":<key>.", false)
			w.linef("    readonly %s: KanavaSubscribe;", member(t.name))
		}
		w.line("  };")
	}
	if c.asked != nil {
		w.line("  /** Answers what the server asks; each returns a function that stops that. */")
		w.line("  readonly handle: {")
		for _, m := range c.asked {
			in := "input: undefined"
			if m.in != nil {
				in = "input: " + w.typeText(m.in, "    ")
			}
			out := w.result(m.out)
			w.linef("    %s(handler: (%s, asked: %s) => %s | Promise<%s>): () => void;", member(m.name), in, askedType, out, out)
		}
		w.line("  };")
	}
	w.line("}")
}

func messageMethod(f *manifest.Function) method {
	m := method{name: "send", doc: cmpDoc(f.Doc, "Sends a message that names no action.")}
	if f.In != nil {
		m.in, _ = manifest.ParseSchema(f.In) // the manifest was checked
	}
	if f.Out != nil {
		m.out, _ = manifest.ParseSchema(f.Out)
	}
	return m
}

// result returns the type of what a function brings.
func (w *writer) result(s *manifest.Schema) string {
	if s == nil {
		return "void"
	}
	return w.typeText(s, "")
}

func (w *writer) methodType(indent string, m method) {
	w.doc(indent, m.doc, false)
	out := "Promise<" + w.result(m.out) + ">"
	if m.stream {
		out = "AsyncIterableIterator<" + w.result(m.out) + ">"
	}
	args := []string{"options?: " + callOptions}
	if m.in != nil {
		args = slices.Insert(args, 0, "input: "+w.typeText(m.in, indent))
	}
	one := indent + member(m.name) + "(" + strings.Join(args, ", ") + "): " + out + ";"
	if len(one) <= width {
		w.line(one)
		return
	}
	w.line(indent + member(m.name) + "(")
	for _, a := range args {
		w.line(indent + "  " + a + ",")
	}
	w.line(indent + "): " + out + ";")
}

func (w *writer) connectFunction(c *channel) {
	o := c.opening
	given := "{}"
	var args []string
	url := "url: string | undefined"
	switch {
	case o.typ == "":
		url = "url?: string"
	case o.optional:
		url = "url?: string"
		args = append(args, "opening: "+o.typ+" = {}")
		given = "opening"
	default:
		args = append(args, "opening: "+o.typ)
		given = "opening"
	}
	args = append(slices.Insert(args, 0, url), "options: "+optionsType+"<"+c.typ+"> = {}")
	result := ": " + c.typ
	if w.o.JS {
		for i, a := range args {
			name, _, _ := strings.Cut(a, ":")
			name = strings.TrimSuffix(name, "?")
			if strings.HasSuffix(a, " = {}") {
				name += " = {}"
			}
			args[i] = name
		}
		result = ""
	}
	if o.typ != "" && o.mapped != nil {
		given = "{ " + strings.Join(o.mapped, ", ") + " }"
	}
	head := "export function " + c.connect + "(" + strings.Join(args, ", ") + ")" + result + " {"
	if len(head) <= width {
		w.line(head)
	} else {
		w.linef("export function %s(", c.connect)
		for _, a := range args {
			w.line("  " + a + ",")
		}
		w.linef(")%s {", result)
	}
	path := quote(o.path)
	if wildcard.MatchString(o.path) {
		if o.mapped != nil {
			w.linef("  const given = %s;", given)
			given = "given"
		}
		path = "filled(" + path + ", " + given + ")"
	}
	spec := []string{"path: " + path}
	if o.query != nil {
		var names []string
		for _, q := range o.query {
			names = append(names, quote(q))
		}
		spec = append(spec, "query: ["+strings.Join(names, ", ")+"]")
	}
	spec = append(spec, "contract: "+quote(w.m.Contract()))
	w.linef("  const spec = { %s };", strings.Join(spec, ", "))
	w.linef("  return connect(spec, url, %s, options, %s);", given, c.face)
	w.line("}")
}
