package refusedtest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/kanava-go/kanava" // so that go test's cache knows what the programs stand on
)

func TestWrongProgramsAreRefused(t *testing.T) {
	t.Parallel()
	programs, err := filepath.Glob("testdata/*/main.go")
	if err != nil || len(programs) == 0 {
		t.Fatal("no programs in testdata:", err)
	}
	said := build(t, programs)
	for _, file := range programs {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			want, compiles := expectation(t, file)
			got := said[name]
			delete(said, name)
			switch {
			case compiles && got != "":
				t.Errorf("the control is refused:\n%s", got)
			case !compiles && got == "":
				t.Error("the program compiles, and its author learns of the mistake at run time at best")
			case !compiles && !strings.Contains(got, want):
				t.Errorf("refused, but the message does not have the words\n\t%s\nit is\n%s", want, got)
			case !compiles && strings.Count(got, "\n") > 3:
				// One mistake, one message: more hide the one that matters.
				t.Errorf("one mistake, several messages:\n%s", got)
			}
		})
	}
	for name, text := range said {
		t.Errorf("what the compiler says of %q belongs to no program:\n%s", name, text)
	}
}

// build compiles all programs at once and returns what the compiler says about
// each, by the name of its folder.
func build(t *testing.T, programs []string) map[string]string {
	t.Helper()
	// By name, because patterns pass over testdata. With -e the compiler does
	// not stop at ten faults.
	args := []string{"build", "-buildvcs=false", "-gcflags=-e"}
	for _, file := range programs {
		args = append(args, "./"+filepath.Dir(file))
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("all programs compile")
	}
	said := map[string]string{}
	name := ""
	for line := range strings.Lines(string(out)) {
		if pkg, ok := strings.CutPrefix(line, "# "); ok {
			name = filepath.Base(strings.TrimSpace(pkg))
			continue
		}
		said[name] += line
	}
	return said
}

// expectation reads the comment of a program that says what becomes of it.
func expectation(t *testing.T, file string) (want string, compiles bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "// compiles" {
			return "", true
		}
		if want, ok := strings.CutPrefix(line, "// want: "); ok {
			return want, false
		}
	}
	t.Fatalf("%s says neither what the compiler should say (want:) nor that it compiles", file)
	return "", false
}
