// Package guide_test holds the guide to what it says: its code compiles, its
// dialogues happen, its links lead somewhere.
//
// The rules by which a page is read:
//
//   - A block fenced as "go" is compiled and vetted. It is a whole file,
//     declarations, or statements; statements may use ctx.
//   - The blocks of a page are one package, in which the order does not matter.
//     After <!--new program--> begins another one.
//   - <!--go ... --> holds declarations that a page needs and a reader does not.
//   - Imports are added from a fixed list, where a block has none of its own.
//   - A block fenced as "text" is a dialogue with newServer() of its program;
//     testdata/dialogue_test.go tells its form. It is held with kanavatest, and
//     frames are compared byte for byte.
//   - Blocks fenced as "console" are commands of curl, and what they print; those
//     of a program are one session, with newServer() behind transport/sse.
//     testdata/session_test.go tells their form.
//   - A function named TestX in a block is run.
//   - Package chatclient, of which clients.md tells, is generated from
//     examples/chat.
//   - A block fenced as "ts" and <!--ts ... --> are compiled by "make ts".
//   - A block fenced as "golang" is code for another library, which is not
//     compiled.
package guide_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	// Not used here: who changes what the pages use makes this test run again.
	_ "github.com/kanava-go/kanava/client"
	_ "github.com/kanava-go/kanava/engine"
	_ "github.com/kanava-go/kanava/gen/gogen"
	_ "github.com/kanava-go/kanava/kanavatest"
	_ "github.com/kanava-go/kanava/transport/httpfunc"
	_ "github.com/kanava-go/kanava/transport/sse"
	_ "github.com/kanava-go/kanava/transport/ws"
)

// base is the module of the pages: below Kanava's own path, so that the runner
// of the dialogues may use what is internal.
const base = "github.com/kanava-go/kanava/docs/guide/pages"

func TestGuide(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	m := newModule(t, root)
	var all table
	for _, path := range pages(t) {
		programs, faults := readPage(path)
		for _, fault := range faults {
			t.Error(fault)
		}
		for _, p := range programs {
			p.write(t, m)
			all.add(p)
		}
	}
	if t.Failed() {
		return
	}
	m.write(t, "run/table_test.go", all.source())
	m.write(t, "run/dialogue_test.go", readFile(t, "testdata/dialogue_test.go"))
	m.write(t, "run/session_test.go", readFile(t, "testdata/session_test.go"))
	m.run(t, "vet", "./...")
	if !t.Failed() {
		m.run(t, "test", "-count=1", "-timeout=5m", "./run")
	}
}

// module is a module of its own, as a user of Kanava has one, in a temporary
// folder: its dependencies are exactly those of the root module.
type module struct{ dir string }

func newModule(t *testing.T, root string) module {
	t.Helper()
	m := module{t.TempDir()}
	const kanava = "github.com/kanava-go/kanava"
	mod := strings.Replace(readFile(t, filepath.Join(root, "go.mod")), "module "+kanava+"\n", "module "+base+"\n", 1)
	m.write(t, "go.mod", mod+fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %q\n", kanava, kanava, root))
	m.write(t, "go.sum", readFile(t, filepath.Join(root, "go.sum")))
	run(t, root, "run", "./cmd/kanava", "gen", "go", "./examples/chat", "-o", filepath.Join(m.dir, "chatclient", "client.go"))
	return m
}

func (m module) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m module) run(t *testing.T, args ...string) {
	t.Helper()
	run(t, m.dir, args...)
}

// run runs the go command in a folder and fails with what it says. The module
// of the pages has the versions of the root's go.mod; the workspace may have
// chosen newer ones, so a module may have to be downloaded the first time.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", args[0], err, out)
	}
}

// pages are the files of the guide.
func pages(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return paths
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	codePattern    = regexp.MustCompile("(?ms)^```.*?^```$|^<!--.*?-->$")
	notInAnchor    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Links between pages, and to other files of the repository, lead to a file
// and, where they name one, to a heading.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, link := range linkPattern.FindAllStringSubmatch(readText(t, page), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(link[1], "#")
			if path == "" {
				path = page
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: link to %s: %v", page, link[1], err)
			} else if anchor != "" && !anchors(readText(t, path))[anchor] {
				t.Errorf("%s: link to %s: there is no such heading", page, link[1])
			}
		}
	}
}

// anchors are the names that headings get.
func anchors(markdown string) map[string]bool {
	found := make(map[string]bool)
	for _, heading := range headingPattern.FindAllStringSubmatch(markdown, -1) {
		name := notInAnchor.ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

// Every page is in the index, and ends with the way on.
func TestEveryPageIsInTheIndex(t *testing.T) {
	index := readText(t, "README.md")
	for _, page := range pages(t) {
		if page == "README.md" {
			continue
		}
		if !strings.Contains(index, "]("+page+")") {
			t.Errorf("README.md has no link to %s", page)
		}
		if !strings.Contains(readText(t, page), "\nNext: ") {
			t.Errorf("%s has no line that begins with \"Next: \"", page)
		}
	}
}

// readText reads a page without its code.
func readText(t *testing.T, path string) string {
	t.Helper()
	return codePattern.ReplaceAllString(readFile(t, path), "")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
