package guide_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	provedBy = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// Each promise about delivery names the tests that prove it, and there are such
// tests.
func TestPromisesNameTheirTests(t *testing.T) {
	known := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			known[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(readFile(t, "delivery.md"), "| promise | proved by |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	promises := strings.Split(table, "\n")
	if len(promises) < 10 {
		t.Errorf("there are only %d promises", len(promises))
	}
	for _, promise := range promises {
		names := provedBy.FindAllStringSubmatch(promise, -1)
		if len(names) == 0 {
			t.Errorf("nothing proves %s", promise)
		}
		for _, m := range names {
			if !known[m[1]] {
				t.Errorf("there is no %s, as is said to prove %s", m[1], promise)
			}
		}
	}
}
