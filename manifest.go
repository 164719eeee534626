package kanava

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/typemodel"
	"github.com/kanava-go/kanava/manifest"
)

// Manifest describes the channels and functions wired so far, for generators of clients and
// documents. It is the same on every run and machine.
func (s *Server[Session]) Manifest() *manifest.Manifest { return s.c.manifest() }

// ManifestHandler serves the manifest to `kanava gen`, so that clients can be
// generated from a running development server. It tells everyone who asks what
// actions there are and what they take: mount it where only developers come, or
// in development only.
func (s *Server[Session]) ManifestHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		raw, err := s.c.manifest().Append(nil)
		if err != nil {
			s.c.logger.ErrorContext(r.Context(), "kanava: manifest", "error", err)
			http.Error(w, "internal", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(raw) // the client has gone
	})
}

// Attach is called by the constructor of every transport with the Dispatcher
// that it is for. Where the environment variable KANAVA_MANIFEST names a file,
// it writes the manifest of the server there and ends the program: this is how
// `kanava gen` asks a program for its manifest. Otherwise it does nothing.
func Attach(d Dispatcher) {
	file := os.Getenv("KANAVA_MANIFEST")
	described, ok := d.(interface{ Manifest() *manifest.Manifest })
	if file == "" || !ok {
		return
	}
	raw, err := described.Manifest().Append(nil)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600) //nolint:gosec // the file is named by who runs the program
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kanava: KANAVA_MANIFEST:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// manifest panics if a schema cannot be made, which would be a mistake of
// Kanava's own: Wire has refused what has none.
func (s *core) manifest() *manifest.Manifest {
	s.wiringMu.RLock()
	defer s.wiringMu.RUnlock()
	const prefix = "#/$defs/"
	first := typemodel.NewSchemas(prefix)
	for _, d := range s.defs {
		describe(d, first)
	}
	for _, f := range s.https {
		describeHTTP(f, first)
	}
	schemas := first.Renamed(typeNames(first.Definitions()))
	m := &manifest.Manifest{Form: manifest.Form, Level: s.level, Channels: []manifest.Channel{}, Types: manifest.Types{}}
	for _, d := range s.defs {
		m.Channels = append(m.Channels, describe(d, schemas))
	}
	for _, f := range s.https {
		m.HTTP = append(m.HTTP, describeHTTP(f, schemas))
	}
	for _, d := range schemas.Definitions() {
		m.Types[d.Name] = withGoType(d)
	}
	for _, code := range slices.Sorted(maps.Keys(httpStatus)) {
		m.Errors = append(m.Errors, manifest.ErrorCode{Code: string(code), Status: httpStatus[code]})
	}
	for _, code := range slices.Sorted(maps.Keys(closeNames)) {
		m.Closes = append(m.Closes, manifest.CloseCode{Code: int(code), Name: code.String(), Then: code.then()})
	}
	if err := m.SetHash(); err != nil {
		panic(err)
	}
	return m
}

// contract is what clients are told of the manifest: its level and hash. It is
// made once, when the first client asks.
func (s *core) contract() string {
	if c := s.contracted.Load(); c != nil {
		return *c
	}
	c := s.manifest().Contract()
	s.contracted.Store(&c)
	return c
}

// tooOld reports whether a client with this contract was generated for a level
// that is not served any more. A client that tells none is not.
func (s *core) tooOld(contract string) bool {
	text, _, _ := strings.Cut(contract, ".")
	level, err := strconv.Atoi(text)
	return err == nil && level < s.minLevel
}

// describe describes one channel; schemas has its types from then on.
func describe(d *channelDef, schemas *typemodel.Schemas) manifest.Channel {
	of := func(m *typemodel.Model) jsontext.Value { return schemaOf(m, schemas) }
	function := func(a *action) manifest.Function { return describeFunction(a, schemas) }
	c := manifest.Channel{Name: d.name, Route: d.route, Tags: d.tags, Binary: d.onBinary != nil}
	if params := d.opening.Params(); len(params) > 0 {
		c.Opening = &manifest.Opening{Type: of(d.opening.Given())}
		for _, p := range params {
			c.Opening.Params = append(c.Opening.Params, manifest.Param(p))
		}
	}
	if d.onConnect != nil && d.onConnect.out != nil {
		f := function(d.onConnect)
		c.Connect = &f
	}
	if d.onMessage != nil {
		f := function(d.onMessage)
		c.Message = &f
	}
	for i, r := range d.routers {
		c.Keys = append(c.Keys, r.key)
		for _, rt := range r.routes {
			c.Actions = append(c.Actions, manifest.Action{By: r.key, Name: rt.name, Function: function(d.actions[i][rt.name])})
		}
	}
	for _, v := range d.declares {
		x := v.declared()
		bytes := x.model.Type() == reflect.TypeFor[[]byte]()
		switch x.what {
		case "client function":
			f := manifest.ClientFunc{Name: x.name, Out: of(x.answer)}
			if x.model.Type() != noneType {
				f.In = of(x.model)
			}
			c.ClientFuncs = append(c.ClientFuncs, f)
		case "topic":
			c.Topics = append(c.Topics, manifest.Topic{
				Name: x.name, Class: x.family.class.String(), Event: of(x.model), Bytes: bytes,
				Subscribable: x.family.clients && d.subscribable,
			})
		case "push":
			c.Pushes = append(c.Pushes, manifest.Push{Name: x.name, Value: of(x.model), Bytes: bytes})
		case "presence":
			c.Presences = append(c.Presences, manifest.Presence{Name: x.name, Member: of(x.model)})
		case "value":
			c.Values = append(c.Values, manifest.Value{Name: x.name, Type: x.model.Schema()})
		}
	}
	return c
}

// describeHTTP describes a function over HTTP.
func describeHTTP(f *httpFunc, schemas *typemodel.Schemas) manifest.HTTPFunc {
	h := manifest.HTTPFunc{Method: f.method, Pattern: f.path, Function: describeFunction(f.action, schemas)}
	for _, p := range f.plan.Params() {
		h.Params = append(h.Params, manifest.Param(p))
	}
	return h
}

func describeFunction(a *action, schemas *typemodel.Schemas) manifest.Function {
	f := manifest.Function{
		Doc: a.opts.summary, Tags: a.opts.tags, Stream: a.stream, Session: a.needsSession,
		Out: schemaOf(a.out, schemas), Go: goFunction(a.goFn),
	}
	if a.fn.in != noneType {
		f.In = schemaOf(a.in, schemas)
	}
	return f
}

// schemaOf returns nil for no model.
func schemaOf(m *typemodel.Model, schemas *typemodel.Schemas) jsontext.Value {
	if m == nil {
		return nil
	}
	return schemas.Of(m)
}

// goFunction makes package path and name of what the runtime calls a function:
// "example.com/chat.(*App).Send-fm" is "example.com/chat.App.Send". It returns
// "" for a function without a name of its own.
func goFunction(name string) string {
	name = strings.TrimSuffix(name, "-fm")
	name = strings.NewReplacer("(*", "", "(", "", ")", "", "[...]", "").Replace(name)
	slash := strings.LastIndexByte(name, '/') + 1
	parts := strings.Split(name[slash:], ".")
	if len(parts) < 2 || len(parts) > 3 || strings.HasPrefix(parts[len(parts)-1], "func") && len(parts) == 3 {
		return ""
	}
	return name
}

// withGoType adds the Go type to the schema of a definition.
func withGoType(d typemodel.Definition) jsontext.Value {
	g := manifest.GoType{Package: d.Type.PkgPath(), Name: d.Type.Name()}
	if i := strings.IndexByte(g.Name, '['); i >= 0 {
		g.Name = g.Name[:i] // the generic type
	}
	for _, f := range d.Fields {
		if g.Fields == nil {
			g.Fields = map[string]string{}
		}
		g.Fields[f.Name] = f.Go
		if f.Owner != d.Type && f.Owner.Name() != "" {
			owner, _, _ := strings.Cut(f.Owner.Name(), "[")
			g.Fields[f.Name] = f.Owner.PkgPath() + "." + owner + "." + f.Go
		}
	}
	raw, err := json.Marshal(g, json.Deterministic(true))
	if err != nil {
		panic(err) // strings only
	}
	return slices.Concat(d.Schema[:len(d.Schema)-1], []byte(`,"x-go":`), raw, []byte("}"))
}
