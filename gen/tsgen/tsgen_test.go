package tsgen_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/gen/internal/gallery"
	"github.com/kanava-go/kanava/gen/tsgen"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden holds the clients of the gallery to what they are, without the
// run-time.
func TestGolden(t *testing.T) {
	m := gallery.Server().Manifest()
	for name, o := range map[string]tsgen.Options{
		"gallery.ts": {}, "gallery.js": {JS: true}, "dates.ts": {Dates: true}, "dates.js": {Dates: true, JS: true},
	} {
		got, err := tsgen.Generate(m, o)
		if err != nil {
			t.Fatal(name, err)
		}
		got, runtime, found := bytes.Cut(got, []byte("// The run-time"))
		if !found || len(runtime) < 10_000 {
			t.Errorf("%s: a run-time of %d bytes", name, len(runtime))
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (go test -update writes it):\n%s", name, diff)
		}
	}
}
