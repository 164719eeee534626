package tsgen

import (
	"fmt"
	"strings"
)

// This file writes the code behind the interface of a channel.

// faceOf writes the function that gives a connection the names of the channel.
func (w *writer) faceOf(c *channel) {
	if w.o.JS {
		w.linef("const %s = (c) => ({", c.face)
	} else {
		w.linef("const %s = (c: %s): %s => ({", c.face, connectionType, c.typ)
	}
	for _, m := range c.methods {
		w.methodCode("  ", m)
	}
	if c.by != nil {
		w.line("  by: {")
		for _, k := range c.by {
			w.linef("    %s: {", member(k.name))
			for _, m := range k.methods {
				w.methodCode("      ", m)
			}
			w.line("    },")
		}
		w.line("  },")
	}
	if f := c.Message; f != nil {
		m := messageMethod(f)
		body := "c.call({ do: '', in: input }, options)"
		args := "input, options"
		if m.in == nil {
			body, args = "c.call({ do: '' }, options)", "options"
		}
		w.jsDoc("  ", m)
		w.linef("  send: (%s) => %s,", args, w.revived(m, body))
	}
	w.line("  on: {")
	w.line("    ...events(c),")
	revive := w.revive(c.opened)
	if revive != "" {
		w.linef("    opened: on(c, ':opened', %s),", revive)
	}
	for _, l := range c.listeners {
		if l.topic {
			w.heard(l, "onTopic", l.wire)
		} else {
			w.heard(l, "on", "p:"+l.wire)
		}
	}
	w.line("  },")
	if c.presences != nil {
		w.line("  presence: {")
		for _, p := range c.presences {
			w.heard(p, "presence", p.wire)
		}
		w.line("  },")
	}
	if c.subscribable != nil {
		w.line("  subscribe: {")
		for _, t := range c.subscribable {
			w.linef("    %s: subscribe(c, %s),", member(t.name), quote(t.wire))
		}
		w.line("  },")
	}
	if c.asked != nil {
		w.line("  handle: {")
		for _, m := range c.asked {
			handler := "handler"
			if f := w.revive(m.in); f != "" {
				handler = "heard(" + f + ", handler)"
			}
			w.linef("    %s: (handler) => c.handler(%s, %s),", member(m.name), quote(m.action), handler)
		}
		w.line("  },")
	}
	w.line("  sendBinary: c.sendBinary,")
	if revive != "" {
		w.linef("  opened: c.opened.then(%s),", revive)
	} else {
		w.line("  opened: c.opened,")
	}
	w.line("  get state() {")
	w.line("    return c.state;")
	w.line("  },")
	w.line("  close: c.close,")
	w.line("});")
}

// heard writes a member that listens by a function of the run-time to what has
// the given name there.
func (w *writer) heard(l listener, function, name string) {
	args := "c, " + quote(name)
	if f := w.revive(l.value); f != "" {
		args += ", " + f
	}
	w.linef("    %s: %s(%s),", member(l.name), function, args)
}

// jsDoc documents a method where there is no interface that does.
func (w *writer) jsDoc(indent string, m method) {
	if w.o.JS {
		w.doc(indent, m.doc, false)
	}
}

func (w *writer) methodCode(indent string, m method) {
	w.jsDoc(indent, m)
	args, frame := "options", []string{"do: " + quote(m.action)}
	if m.by != "" {
		frame = append(frame, "by: "+quote(m.by))
	}
	if m.in != nil {
		args, frame = "input, options", append(frame, "in: input")
	}
	verb := "call"
	if m.stream {
		verb = "stream"
	}
	call := fmt.Sprintf("c.%s({ %s }, options)", verb, strings.Join(frame, ", "))
	w.linef("%s%s: (%s) => %s,", indent, member(m.name), args, w.revived(m, call))
}

// revived returns a call whose result has dates in it, if it has times.
func (w *writer) revived(m method, call string) string {
	f := w.revive(m.out)
	switch {
	case f == "":
		return call
	case m.stream:
		return "inStream(" + call + ", " + f + ")"
	}
	return call + ".then(" + f + ")"
}
