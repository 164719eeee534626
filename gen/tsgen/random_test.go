package tsgen_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/gen/gogen"
	"github.com/kanava-go/kanava/gen/tsgen"
	"github.com/kanava-go/kanava/manifest"
)

// name draws what a hostile manifest may call things.
var name = rapid.OneOf(
	rapid.SampledFrom([]string{
		"Message", "message", "on", "close", "then", "constructor", "__proto__", "prototype", "class", "default", "await", "Map", "Promise", "Record",
		"KanavaState", "string", "number", "any", "c", "events", "channel", "options", "input", "*/ evil();", "'; evil(); '", "`${evil()}`", "\\", "\u2028",
		"a\nb", "//", "ä", "1st", "-", "with space", "kebab-case", "äö", "日本", "\x00",
	}),
	rapid.StringN(1, 12, 40).Filter(func(s string) bool { return s != "" }),
)

// schema draws a schema that may refer to types.
func schema(t *rapid.T, types []string, depth int) map[string]any {
	kinds := []string{"string", "integer", "boolean", "number", "any", "enum", "const", "date", "bytes", "null or string"}
	if len(types) > 0 {
		kinds = append(kinds, "ref", "ref", "nullable ref")
	}
	if depth > 0 {
		kinds = append(kinds, "array", "tuple", "map", "object", "union")
	}
	inner := func() any { return schema(t, types, depth-1) }
	ref := func() map[string]any {
		return map[string]any{"$ref": "#/$defs/" + rapid.SampledFrom(types).Draw(t, "ref")}
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "any":
		return map[string]any{"description": name.Draw(t, "doc")}
	case "enum":
		return map[string]any{"type": "string", "enum": rapid.SliceOfNDistinct(name, 1, 4, rapid.ID[string]).Draw(t, "enum")}
	case "const":
		return map[string]any{"const": rapid.Int64Range(-5, 5).Draw(t, "const")}
	case "date":
		return map[string]any{"type": "string", "format": "date-time"}
	case "bytes":
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	case "null or string":
		return map[string]any{"type": []string{"string", "null"}}
	case "ref":
		return ref()
	case "nullable ref":
		return map[string]any{"anyOf": []any{ref(), map[string]any{"type": "null"}}}
	case "array":
		return map[string]any{"type": "array", "items": inner()}
	case "tuple":
		return map[string]any{"type": "array", "items": inner(), "minItems": 2, "maxItems": 2}
	case "map":
		return map[string]any{"type": "object", "additionalProperties": inner()}
	case "object":
		return object(t, types, depth-1)
	case "union":
		return map[string]any{"oneOf": []any{inner(), inner()}}
	default:
		return map[string]any{"type": kind, "description": name.Draw(t, "doc"), "deprecated": rapid.Bool().Draw(t, "deprecated")}
	}
}

func object(t *rapid.T, types []string, depth int) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, member := range rapid.SliceOfNDistinct(name, 0, 5, rapid.ID[string]).Draw(t, "members") {
		properties[member] = schema(t, types, depth)
		if rapid.Bool().Draw(t, "required") {
			required = append(required, member)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// drawn draws a manifest: strings of every kind wherever there are strings.
func drawn(t *rapid.T) *manifest.Manifest {
	// Names of types go into references, which are URIs.
	types := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-zä_]{1,6}`), 0, 5, rapid.ID[string]).Draw(t, "types")
	defs := map[string]any{}
	for _, n := range types {
		defs[n] = object(t, types, 2)
	}
	functions := func(list []map[string]any) []map[string]any {
		for _, f := range list {
			if rapid.Bool().Draw(t, "in") {
				f["in"] = schema(t, types, 1)
			}
			f["out"] = schema(t, types, 1)
			f["doc"] = name.Draw(t, "doc")
			f["stream"] = rapid.Bool().Draw(t, "stream")
		}
		return list
	}
	named := func(what string) (list []map[string]any) {
		for _, n := range rapid.SliceOfNDistinct(name, 0, 4, rapid.ID[string]).Draw(t, what) {
			list = append(list, map[string]any{
				"name": n, "by": "do", "class": "ordered", "event": schema(t, types, 1), "value": schema(t, types, 1),
				"member": schema(t, types, 1), "subscribable": what == "topics" && rapid.Bool().Draw(t, "subscribable"),
			})
		}
		return list
	}
	var channels []any
	for _, n := range rapid.SliceOfNDistinct(name, 1, 3, rapid.ID[string]).Draw(t, "channels") {
		opening := object(t, types, 0)
		var params []any
		for member := range opening["properties"].(map[string]any) {
			params = append(params, map[string]any{"name": member, "query": name.Draw(t, "query")})
		}
		channels = append(channels, map[string]any{
			"name": n, "route": "/" + name.Draw(t, "route"), "keys": []string{"do"}, "actions": functions(named("actions")),
			"topics": named("topics"), "pushes": named("pushes"), "presences": named("presences"), "clientFuncs": functions(named("client functions")),
			"opening": map[string]any{"type": opening, "params": params}, "connect": map[string]any{"out": schema(t, types, 1)},
		})
	}
	raw, err := json.Marshal(map[string]any{"kanava": 1, "level": 1, "hash": name.Draw(t, "hash"), "$defs": defs, "channels": channels},
		json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRandom proves that any manifest gives a client, and the same one again; Go
// clients parse, or are refused for a name that no struct tag can hold. With
// KANAVA_TS_DIR it writes the TypeScript for the compiler: "make ts" does.
func TestRandom(t *testing.T) {
	dir, n := os.Getenv("KANAVA_TS_DIR"), 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		for _, o := range []tsgen.Options{{}, {JS: true}, {Dates: true}, {JS: true, Dates: true}} {
			once, err := tsgen.Generate(m, o)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := tsgen.Generate(m, o); err != nil || !bytes.Equal(once, again) {
				t.Fatal("not the same again", err)
			}
			suffix := "ts"
			if o.JS {
				suffix = "mjs"
			}
			if dir == "" {
				continue
			}
			n++
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("random%d.%s", n, suffix)), once, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := gogen.Generate(m, gogen.Options{Package: "a"}); err != nil && !strings.Contains(err.Error(), "a struct tag cannot hold") {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
