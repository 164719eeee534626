package ts_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/clients/ts"
)

// TestPlainIsFresh proves that dist was made from what stands in src.
func TestPlainIsFresh(t *testing.T) {
	names, err := filepath.Glob("src/*.ts")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var sums strings.Builder
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(raw), filepath.ToSlash(name))
	}
	if want, err := os.ReadFile("dist/sources.sum"); err != nil || sums.String() != string(want) {
		t.Errorf("dist is stale: run npm ci and npm run build in clients/ts (%v)", err)
	}
}

// The run-time stands alone in a file: it imports nothing, and exports types and
// the error only.
func TestJoined(t *testing.T) {
	for name, text := range map[string]string{"Typed": ts.Typed(ts.Parts...), "Plain": ts.Plain(ts.Parts...)} {
		for line := range strings.Lines(text) {
			for _, bad := range []string{"import ", "export function", "export async", "export const", "export let", "export default", "export {"} {
				if strings.HasPrefix(line, bad) {
					t.Errorf("%s has %s", name, line)
				}
			}
		}
	}
	if !strings.Contains(ts.Typed(), "\nexport class KanavaError extends Error {") || strings.Contains(ts.Plain(), ": KanavaConnection") {
		t.Error("the text is not what it should be")
	}
}
