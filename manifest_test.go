package kanava_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/manifest"
	"github.com/kanava-go/kanava/transport/ws"
)

// described are two channels; doc and the order of things are the caller's.
func described(doc string, turned bool) *kanava.Server[account] {
	srv := kanava.NewServer(kanava.Options[account]{})
	nop := func(context.Context, *line, text) error { return nil }
	routes := []route{kanava.OnDo("a", nop, kanava.Doc(doc, doc)), whoami()}
	defs := []kanava.Definition[account]{
		wiring{Name: "x", Route: "/x", Messages: by(routes...), Tags: []string{doc}},
		wiring{Name: "y", Route: "/y/{id}", OnBinary: kanava.BinaryFunc(func(context.Context, *line, []byte) ([]byte, error) { return nil, nil })},
	}
	if turned {
		slices.Reverse(routes)
		defs[0] = wiring{Name: "x", Route: "/x", Messages: by(routes...)}
		slices.Reverse(defs)
	}
	srv.Wire(defs...)
	return srv
}

// TestManifestHash proves that the hash is of what goes over the wire alone.
func TestManifestHash(t *testing.T) {
	same := described("one", false).Manifest()
	if len(same.Hash) != 8 || same.Contract() != "1."+same.Hash {
		t.Errorf("hash %q, contract %q", same.Hash, same.Contract())
	}
	type renamed struct {
		Other string `json:"message" maxLength:"100" doc:"has another name in Go"`
	}
	one := func(r route) string {
		return serve(t, kanava.Options[account]{}, wiring{Messages: by(r)}).Manifest().Hash
	}
	type longer struct {
		Message string `json:"message" maxLength:"101"`
	}
	out := func(context.Context, *line, text) (text, error) { return text{}, nil }
	base := one(kanava.On("a", out))
	if got := described("two", true).Manifest().Hash; got != same.Hash {
		t.Errorf("with other documentation and in another order: hash %s and %s", same.Hash, got)
	}
	for _, tc := range []struct {
		why  string
		r    route
		same bool
	}{
		{"names in Go and docs of fields", kanava.On("a", func(context.Context, *line, renamed) (renamed, error) { return renamed{}, nil }), true},
		{"a session", kanava.On("a", out, kanava.Public()), true},
		{"another name", kanava.On("b", out), false},
		{"a constraint", kanava.On("a", func(context.Context, *line, longer) (text, error) { return text{}, nil }), false},
		{"a stream", kanava.OnStream("a", func(context.Context, *line, text, *kanava.Stream[text]) error { return nil }), false},
		{"no result", kanava.OnDo("a", func(context.Context, *line, text) error { return nil }), false},
	} {
		if got := one(tc.r); (got == base) != tc.same {
			t.Errorf("%s: hash %s and %s, want same %v", tc.why, base, got, tc.same)
		}
	}
}

func TestManifestHandler(t *testing.T) {
	srv := described("doc", false)
	rec := httptest.NewRecorder()
	srv.ManifestHandler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/kanava.json", nil))
	got, err := manifest.Read(rec.Body)
	if err != nil || rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatal(rec.Code, rec.Header(), err)
	}
	if diff := cmp.Diff(encoded(t, srv.Manifest()), encoded(t, got)); diff != "" {
		t.Error(diff)
	}
	rec = httptest.NewRecorder()
	srv.ManifestHandler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/kanava.json", nil))
	if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Error(rec.Code, rec.Header())
	}
}

func encoded(t *testing.T, m *manifest.Manifest) string {
	t.Helper()
	raw, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestAttach runs this test again as a program that KANAVA_MANIFEST asks for its
// manifest.
func TestAttach(t *testing.T) {
	srv := described("doc", false)
	if os.Getenv("KANAVA_MANIFEST") != "" {
		ws.Handler(srv, ws.Options{})
		os.Exit(3) // what a server would do
	}
	ws.Handler(srv, ws.Options{}) // does nothing
	run := func(file string) (code int, said string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAttach$")
		cmd.Env = append(os.Environ(), "KANAVA_MANIFEST="+file)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	file := filepath.Join(t.TempDir(), "kanava.json")
	if code, said := run(file); code != 0 || said != "" {
		t.Errorf("exit %d, said %q", code, said)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := encoded(t, srv.Manifest()); string(raw) != want {
		t.Errorf("got\n%s\nwant\n%s", raw, want)
	}
	code, said := run(filepath.Join(t.TempDir(), "none", "kanava.json"))
	if code != 1 || !strings.HasPrefix(said, "kanava: KANAVA_MANIFEST: open ") {
		t.Errorf("a file that cannot be written: exit %d, said %q", code, said)
	}
}

// Types of two packages, or of two functions, with one name have names that do
// not depend on the order in which they are met.
func TestManifestTypeNames(t *testing.T) {
	type text struct{ A int }
	type Text struct{ B int }
	type pair[T any] struct {
		One T
		Two struct{ T T }
	}
	get := func(w ...route) []string {
		var names []string
		m := serve(t, kanava.Options[account]{}, wiring{Messages: by(w...)}).Manifest()
		for name := range m.Types {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	routes := []route{
		kanava.OnDo("a", func(context.Context, *line, text) error { return nil }),
		kanava.OnDo("b", func(context.Context, *line, Text) error { return nil }),
		kanava.On("c", func(context.Context, *line, pair[text]) (pair[*signIn], error) { return pair[*signIn]{}, nil }),
	}
	got := get(routes...)
	want := []string{"Kanava_testText", "Kanava_testText2", "PairSignIn", "PairSignInTwo", "PairText", "PairTextTwo", "SignIn"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(routes)
	if diff := cmp.Diff(got, get(routes...)); diff != "" {
		t.Errorf("in another order: %s", diff)
	}
}

// Functions over HTTP are in the manifest, and in its hash.
func TestManifestHTTP(t *testing.T) {
	type query struct {
		ID   string   `json:"id" path:"id"`
		Tags []string `json:"tags" query:"tag"`
		Text string   `json:"text"`
	}
	served := func(pattern string, opts ...kanava.FuncOption) *manifest.Manifest {
		srv := kanava.NewServer(kanava.Options[account]{})
		srv.WireHTTP(pattern, kanava.PlainFunc(func(context.Context, query) (int, error) { return 0, nil }, opts...))
		return srv.Manifest()
	}
	m := served("PUT /a/{id}", kanava.Doc("Change it", "tag"))
	want := []manifest.HTTPFunc{{
		Method: "PUT", Pattern: "/a/{id}",
		Params:   []manifest.Param{{Name: "id", Path: "id"}, {Name: "tags", Query: "tag", Many: true}},
		Function: manifest.Function{Doc: "Change it", Tags: []string{"tag"}, Session: true, In: jsontext.Value(`{"$ref":"#/$defs/Query"}`), Out: m.HTTP[0].Out},
	}}
	if diff := cmp.Diff(want, m.HTTP); diff != "" || !strings.Contains(string(m.HTTP[0].Out), `"integer"`) || !strings.Contains(string(m.Types["Query"]), `"text"`) {
		t.Error(diff, m.Types)
	}
	raw, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := manifest.Read(bytes.NewReader(raw)); err != nil || len(again.HTTP) != 1 || again.SetHash() != nil || again.Hash != m.Hash {
		t.Errorf("read again: %v", err)
	}
	none := kanava.NewServer(kanava.Options[account]{}).Manifest()
	if other := served("PUT /b/{id}"); other.Hash == m.Hash || none.Hash == m.Hash || served("PUT /a/{id}", kanava.Public()).Hash != m.Hash {
		t.Errorf("hashes: %s, %s, %s", m.Hash, other.Hash, none.Hash)
	}
}
