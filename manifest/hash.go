package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// SetHash computes m.Hash: of routes, actions, topics and all else that a client
// and the server must agree on. Documentation, the order of channels and
// actions, and the names of Go types do not count. It returns an error if a
// schema is not valid JSON or refers to nothing.
func (m *Manifest) SetHash() error {
	h := &hasher{types: m.Types, numbers: map[string]int{}}
	var channels []any
	for _, c := range sortedBy(m.Channels, func(c Channel) string { return c.Route }) {
		channels = append(channels, h.channel(c))
	}
	var https []any
	for _, f := range sortedBy(m.HTTP, HTTPFunc.name) {
		https = append(https, []any{f.Method, f.Pattern, sortedBy(f.Params, paramName), h.function(f.Function)})
	}
	// Types are listed in the order in which they were met.
	types := []any{}
	for len(types) < len(h.met) { // which grows
		types = append(types, h.schema(m.Types[h.met[len(types)]]))
	}
	if h.err != nil {
		return h.err
	}
	parts := []any{channels, types}
	if https != nil {
		parts = append(parts, https)
	}
	raw, err := json.Marshal(parts, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := (*jsontext.Value)(&raw).Canonicalize(); err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	m.Hash = hex.EncodeToString(sum[:4])
	return nil
}

// hasher turns a manifest into plain values that hold only what counts. Types
// are numbered in the order in which they are met.
type hasher struct {
	types   Types
	numbers map[string]int
	met     []string
	err     error
}

func sortedBy[T any](list []T, key func(T) string) []T {
	return slices.SortedStableFunc(slices.Values(list), func(x, y T) int { return strings.Compare(key(x), key(y)) })
}

func paramName(p Param) string { return p.Name }

func (f HTTPFunc) name() string { return f.Method + " " + f.Pattern }

func (h *hasher) channel(c Channel) any {
	out := map[string]any{"route": c.Route, "keys": c.Keys, "binary": c.Binary}
	if c.Opening != nil {
		out["opening"] = []any{
			sortedBy(c.Opening.Params, paramName),
			h.schema(c.Opening.Type),
		}
	}
	if c.Connect != nil {
		out["connect"] = h.schema(c.Connect.Out)
	}
	if c.Message != nil {
		out["message"] = h.function(*c.Message)
	}
	actions := []any{}
	for _, a := range sortedBy(c.Actions, func(a Action) string { return a.By + "\x00" + a.Name }) {
		actions = append(actions, []any{a.By, a.Name, h.function(a.Function)})
	}
	out["actions"] = actions
	var declared []any
	for _, t := range sortedBy(c.Topics, func(t Topic) string { return t.Name }) {
		declared = append(declared, []any{"topic", t.Name, t.Class, t.Bytes, h.schema(t.Event)})
		if t.Subscribable {
			declared = append(declared, []any{"subscribable", t.Name})
		}
	}
	for _, p := range sortedBy(c.Pushes, func(p Push) string { return p.Name }) {
		declared = append(declared, []any{"push", p.Name, p.Bytes, h.schema(p.Value)})
	}
	for _, f := range sortedBy(c.ClientFuncs, func(f ClientFunc) string { return f.Name }) {
		declared = append(declared, []any{"clientFunc", f.Name, h.schema(f.In), h.schema(f.Out)})
	}
	for _, p := range sortedBy(c.Presences, func(p Presence) string { return p.Name }) {
		declared = append(declared, []any{"presence", p.Name, h.schema(p.Member)})
	}
	out["declared"] = declared
	return out
}

func (h *hasher) function(f Function) any {
	return map[string]any{"in": h.schema(f.In), "out": h.schema(f.Out), "stream": f.Stream}
}

// schema returns what of a schema counts, nil for none.
func (h *hasher) schema(raw jsontext.Value) any {
	if raw == nil || h.err != nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		h.err = fmt.Errorf("manifest: a schema: %w", err)
		return nil
	}
	return h.part(v)
}

// part walks one schema. What describes a type goes, references become numbers.
func (h *hasher) part(v any) any {
	schema, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(schema)) {
		switch x := schema[k].(type) {
		case string:
			if k == "$ref" {
				out[k] = h.number(x)
				continue
			}
			if k != "description" && k != "title" {
				out[k] = x
			}
		case map[string]any:
			switch k {
			case "items", "additionalProperties", "propertyNames":
				out[k] = h.part(x)
			case "properties":
				out[k] = h.parts(x)
			case "x-go":
			default:
				out[k] = x
			}
		case []any:
			switch k {
			case "anyOf", "oneOf":
				list := make([]any, len(x))
				for i := range x {
					list[i] = h.part(x[i])
				}
				out[k] = list
			case "required":
				out[k] = sortedTexts(x)
			case "examples":
			default:
				out[k] = x
			}
		default:
			if k != "deprecated" {
				out[k] = x
			}
		}
	}
	return out
}

func (h *hasher) parts(properties map[string]any) any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		out[name] = h.part(properties[name])
	}
	return out
}

func sortedTexts(list []any) []string {
	var texts []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	slices.Sort(texts)
	return texts
}

func (h *hasher) number(ref string) int {
	name := refName(ref)
	if _, ok := h.types[name]; !ok && h.err == nil {
		h.err = fmt.Errorf("manifest: a schema refers to %q, which is not there", ref)
	}
	n, ok := h.numbers[name]
	if !ok {
		n = len(h.met)
		h.numbers[name] = n
		h.met = append(h.met, name)
	}
	return n
}
