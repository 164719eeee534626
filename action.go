package kanava

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// channelDef is a checked channel: what connections and calls look things up
// in. It does not change.
type channelDef struct {
	*channelDecl
	index     uint16 // in core.defs and core.slots
	opening   *typemodel.OpeningPlan
	keys      []string             // routing members, in order
	actions   []map[string]*action // by key
	onConnect *action              // these are nil where the channel has none
	onMessage *action
	onBinary  *action
	onDisc    *action
	send      Sender // outgoing middleware; nil if there is none

	subscribable bool // its clients have the built-in actions for topics
}

// action is a function as it stands in one channel.
type action struct {
	*fn
	route        form.Route
	in, out      *typemodel.Model // nil where there is none
	needsSession bool
	timeout      time.Duration // 0 is none
	handler      Handler       // middleware around the function; nil if there is none
	tags         []string
	info         CallInfo // without the connection
	pace         pace
}

// beside tells whether other calls of the connection run while this one does.
func (a *action) beside() bool { return a.stream || a.opts.concurrent }

// wrong panics because the wiring is.
func (d *channelDecl) wrong(format string, args ...any) {
	panic(fmt.Sprintf("kanava: channel %q at %s: ", d.name, d.where) + fmt.Sprintf(format, args...))
}

// check turns a declaration into what runs, or says what is wrong with it.
func (d *channelDecl) check(s *core) *channelDef {
	def := &channelDef{channelDecl: d}
	guarded(func() { def.send = outgoingChain(s.outgoing, d.outgoing) }, func(text string) { d.wrong("%s", text) })
	d.checkRoute(def)
	d.checkLimits(s)
	d.checkDeclared(s)
	def.onConnect = d.compile(s, d.connect, form.Route{}, "OnConnect")
	def.onDisc = d.compile(s, d.disconnect, form.Route{}, "OnDisconnect")
	def.onMessage = d.compile(s, d.message, form.Route{}, "OnMessage")
	def.onBinary = d.compile(s, d.binary, form.Route{}, "OnBinary")
	d.checkRouters(s, def)
	d.addClientSubscriptions(s, def)
	return def
}

func (d *channelDecl) checkRoute(def *channelDef) {
	switch {
	case d.name == "":
		d.wrong("Name is empty")
	case d.route == "":
		d.wrong("Route is empty")
	}
	names, err := pathNames(d.route)
	if err != nil {
		d.wrong("Route %q: %v", d.route, err)
	}
	plan, err := typemodel.OpeningOf(d.open)
	if err != nil {
		d.wrong("opening data %v", err)
	}
	for _, n := range plan.PathNames() {
		if !names[n] {
			d.wrong("opening data %s: a field has path:%q, but Route %q has no {%s}", d.open, n, d.route, n)
		}
	}
	def.opening = plan
}

func (d *channelDecl) checkLimits(s *core) {
	var err error
	if d.limits, err = d.own.over(&s.limits); err != nil {
		d.wrong("%v", err)
	}
	if d.own.Event != 0 {
		d.wrong("Limits.Event is not a channel's: events belong to topics, so set it in the Options of the server or the hub")
	}
}

func (d *channelDecl) checkRouters(s *core, def *channelDef) {
	seen := make(map[string]place)
	for _, r := range d.routers {
		if r.key == "" {
			d.wrong("By at %s has an empty key", r.where)
		}
		switch r.key {
		case "error", "result", "topic":
			d.wrong("By(%q) at %s: the plain form has a member %q of its own: route by another", r.key, r.where, r.key)
		}
		if first, twice := seen[r.key]; twice {
			d.wrong("By(%q) at %s was already wired at %s", r.key, r.where, first)
		}
		seen[r.key] = r.where
		actions := make(map[string]*action, len(r.routes))
		for _, rt := range r.routes {
			if rt.f == nil {
				d.wrong("route %q of By(%q) at %s is a zero value: make it with On, OnDo, OnStream or PlainFunc", rt.name, r.key, r.where)
			}
			if rt.name == "" || len(rt.name) > 256 {
				d.wrong("route %q at %s: a name has 1 to 256 bytes", rt.name, rt.f.where)
			}
			if first := actions[rt.name]; first != nil {
				d.wrong("%s %q at %s is already wired at %s", r.key, rt.name, rt.f.where, first.where)
			}
			actions[rt.name] = d.compile(s, rt.f, form.Route{Key: r.key, Action: rt.name}, fmt.Sprintf("%s %q", r.key, rt.name))
		}
		def.keys = append(def.keys, r.key)
		def.actions = append(def.actions, actions)
	}
}

// compile makes the action for f, or nil if there is no f. what names it in
// panics.
func (d *channelDecl) compile(s *core, f *fn, route form.Route, what string) *action {
	if f == nil {
		return nil
	}
	wrong := func(format string, args ...any) {
		d.wrong("%s at %s: %s", what, f.where, fmt.Sprintf(format, args...))
	}
	a := &action{fn: f, route: route}
	a.tags = append(append([]string{}, d.tags...), f.opts.tags...)
	a.info = CallInfo{Channel: d.name, Action: route.Action, Kind: f.kind}
	var err error
	if f.in != nil {
		if a.in, err = typemodel.Of(f.in, typemodel.Input); err != nil {
			wrong("input %v", err)
		}
		if k := a.in.Kind(); route.Key != "" && !isObject(k) {
			wrong("input %s is no JSON object: a routed message always is one", f.in)
		}
		if route.Key != "" && a.in.Has(route.Key) {
			wrong("input %s has a member %q: that is the routing member, which is taken out before decoding; rename it", f.in, route.Key)
		}
	}
	if f.out != nil {
		if a.out, err = typemodel.Of(f.out, typemodel.Output); err != nil {
			wrong("output %v", err)
		}
		if clash := clashing(a.out, route.Key); clash != "" {
			wrong("output %s %s", f.out, clash)
		}
		a.route.Dynamic = a.out.Kind() == typemodel.Map || a.out.Kind() == typemodel.Any
	}
	lifecycle := f.kind == KindConnect || f.kind == KindDisconnect
	needs, text := f.opts.needsSession(d.public || lifecycle)
	if a.needsSession = needs; text == "" {
		text = f.opts.wrong(lifecycle)
	}
	if text != "" {
		wrong("%s", text)
	}
	a.timeout = f.opts.timeout
	if a.timeout == 0 && !f.stream {
		a.timeout = d.limits.CallTime
	}
	if len(s.middleware)+len(d.middleware)+len(f.opts.middleware) > 0 {
		d.wrap(s, a, wrong)
	}
	return a
}

func isObject(k typemodel.Kind) bool {
	return k == typemodel.Object || k == typemodel.Union || k == typemodel.Map || k == typemodel.Any
}

// wrap builds the handler; a Guard for another channel panics in it.
func (d *channelDecl) wrap(s *core, a *action, wrong func(string, ...any)) {
	inner := func(ctx context.Context, inv *Invocation) (any, error) {
		return a.call(ctx, inv.Conn, inv.In, inv.stream)
	}
	guarded(func() { a.handler = chain(d.channel, inner, s.middleware, d.middleware, a.opts.middleware) },
		func(text string) { wrong("%s", text) })
}

// guarded runs build, which calls functions of the program, and tells wrong
// why it panics.
func guarded(build func(), wrong func(text string)) {
	defer func() {
		if p := recover(); p != nil {
			wrong(fmt.Sprint(p))
		}
	}()
	build()
}

// needsSession tells whether a function needs a session, where public says that
// others do not, or what is wrong.
func (o *funcOptions) needsSession(public bool) (needs bool, wrong string) {
	switch {
	case o.access == accessPublic && len(o.allow) > 0:
		return false, "Public and Allow contradict each other"
	case o.access == accessPublic|accessProtected:
		return false, "Public and Protected contradict each other"
	}
	return o.access == accessProtected || len(o.allow) > 0 || o.access == accessDefault && !public, ""
}

// wrong says what is wrong with the options of a function.
func (o *funcOptions) wrong(lifecycle bool) string {
	for _, anyOf := range o.allow {
		if len(anyOf) == 0 {
			return "Allow without a permission lets nobody in"
		}
	}
	switch {
	case o.timeout < 0:
		return "Timeout is negative"
	case !o.rate.valid():
		return "RateLimit needs a positive PerSecond and Burst"
	case lifecycle && o.concurrent:
		return "Concurrent is for functions that clients call"
	case lifecycle && o.rate != Rate{}:
		return "RateLimit is for functions that clients call"
	}
	return ""
}

// clashing says how an output could be mistaken for another kind of frame of
// the plain form (docs/protocol.md P7), "" if it could not.
func clashing(m *typemodel.Model, key string) string {
	switch {
	case key != "" && m.Has(key):
		return fmt.Sprintf("has a member %q, which is the routing member of the reply: rename it", key)
	case m.Has("topic") && m.Has("data") && len(m.Members()) == 2:
		return `has exactly the members "topic" and "data": clients would take it for an event`
	case m.Has("error", "code") && m.Has("error", "message"):
		return `has a member "error" with "code" and "message": clients would take it for an error`
	}
	return ""
}

// checkDeclared checks the topics and pushes of a wiring.
func (d *channelDecl) checkDeclared(s *core) {
	names := make(map[string]bool)
	for i, v := range d.declares {
		if v == nil {
			d.wrong("Declares[%d] is nil", i)
		}
		x := v.declared()
		switch {
		case x.zero:
			d.wrong("Declares[%d] is a zero %s: make it with its constructor", i, x.what)
		case x.hub != nil && x.hub != s.hub:
			d.wrong("%s %q belongs to another hub than the server", x.what, x.name)
		case x.session != nil && x.session != s.sessionType:
			d.wrong("MaySubscribe or View of topic %q takes a %s, but the session is a %s", x.name, x.session, s.sessionType)
		case names[x.what+x.name]:
			d.wrong("%s %q is declared twice", x.what, x.name)
		}
		names[x.what+x.name] = true
		if x.out != nil {
			m, err := typemodel.Of(x.out, typemodel.Output)
			if err != nil {
				d.wrong("%s %q: %v", x.what, x.name, err)
			}
			if clash := clashing(m, ""); clash != "" {
				d.wrong("%s %q: %s %s", x.what, x.name, reflect.TypeOf(v), clash)
			}
		}
	}
}
