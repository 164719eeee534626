package gallery_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/gen/internal/gallery"
)

var update = flag.Bool("update", false, "write the golden file")

// TestManifest holds the manifest, its order and its hash to what they are.
func TestManifest(t *testing.T) {
	got, err := gallery.Server().Manifest().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/manifest.json"
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
		t.Errorf("go test -update writes it:\n%s", diff)
	}
}
