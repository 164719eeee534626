package guide_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// imports are what a block may use without saying so.
var imports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "log": "log", "slog": "log/slog", "maps": "maps",
	"http": "net/http", "net": "net", "os": "os", "signal": "os/signal", "slices": "slices", "strings": "strings",
	"sync": "sync", "synctest": "testing/synctest", "syscall": "syscall", "testing": "testing", "time": "time", "url": "net/url",
	"jsontext":   "github.com/go-json-experiment/json/jsontext",
	"chatclient": base + "/chatclient", // generated: see newModule
	"client":     "github.com/kanava-go/kanava/client",
	"engine":     "github.com/kanava-go/kanava/engine",
	"kanava":     "github.com/kanava-go/kanava",
	"kanavatest": "github.com/kanava-go/kanava/kanavatest",
	"httpfunc":   "github.com/kanava-go/kanava/transport/httpfunc",
	"sse":        "github.com/kanava-go/kanava/transport/sse",
	"ws":         "github.com/kanava-go/kanava/transport/ws",
}

// block is a piece of code, or a dialogue, and where its first line stands.
type block struct {
	page string
	line int
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// program is what is compiled together.
type program struct {
	name      string // of the package
	code      []block
	dialogues []block
	sessions  []block // of a terminal
}

// readPage finds the programs of a page.
func readPage(path string) (programs []*program, faults []string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, []string{err.Error()}
	}
	base := strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(path, ".md"), "-", ""))
	begin := func() {
		programs = append(programs, &program{name: fmt.Sprintf("%s%d", base, len(programs)+1)})
	}
	begin()

	var kind string // of the block that is being read, "" outside of blocks
	var b block
	for i, line := range strings.SplitAfter(string(data), "\n") {
		p, text := programs[len(programs)-1], strings.TrimRight(line, "\n")
		switch {
		case kind == "" && text == "<!--new program-->":
			begin()
		case kind == "" && (strings.HasPrefix(text, "```") || text == "<!--go"):
			kind, b = strings.TrimLeft(text, "`"), block{page: path, line: i + 2}
			if kind == "" {
				faults = append(faults, fmt.Sprintf("%s:%d: a block without a language", path, i+1))
				kind = "?"
			}
		case kind != "" && (text == "```" || kind == "<!--go" && text == "-->"):
			switch kind {
			case "go", "<!--go":
				if strings.Contains(b.text, "...\n") || strings.Contains(b.text, "…\n") {
					faults = append(faults, b.String()+": code that leaves something out")
				}
				p.code = append(p.code, b)
			case "text":
				p.dialogues = append(p.dialogues, b)
			case "console":
				p.sessions = append(p.sessions, b)
			}
			kind = ""
		default:
			b.text += line
		}
	}
	if kind != "" {
		faults = append(faults, b.String()+": a block without an end")
	}
	return slices.DeleteFunc(programs, func(p *program) bool { return len(p.code) == 0 }), faults
}

// write puts the package of the program into the module.
func (p *program) write(t *testing.T, m module) {
	t.Helper()
	for _, b := range p.code {
		source, err := p.source(b)
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		m.write(t, fmt.Sprintf("%s/line%d.go", p.name, b.line), source)
	}
	if len(p.dialogues)+len(p.sessions) > 0 {
		m.write(t, p.name+"/server.go", "package "+p.name+"\n\nimport \"github.com/kanava-go/kanava\"\n\n"+
			"func NewServer() kanava.Dispatcher { return newServer() }\n")
	}
}

// source makes a file of a block.
func (p *program) source(b block) (string, error) {
	abs, err := filepath.Abs(b.page)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("//line %s:%d\n", abs, b.line)
	parse := func(before, after string) (*ast.File, error) {
		return parser.ParseFile(token.NewFileSet(), "", before+line+b.text+after, 0)
	}
	if formatted, err := format.Source([]byte(b.text)); err == nil && string(formatted) != b.text {
		return "", fmt.Errorf("not as gofmt writes it:\n%s", formatted)
	}
	clause := "package " + p.name + "\n"
	if file, err := parse("", ""); err == nil { // a whole file: it gets another name
		at := int(file.Name.Pos()) - 1
		whole := line + b.text
		return whole[:at] + p.name + whole[at+len(file.Name.Name):], nil
	}
	before, after := clause, ""
	file, err := parse(before, after)
	if err != nil {
		before, after = clause+"func _(ctx context.Context) {\n", "}\n"
		var asStatements error
		if file, asStatements = parse(before, after); asStatements != nil {
			return "", fmt.Errorf("neither declarations (%w) nor statements (%w)", err, asStatements)
		}
	}
	return clause + importsOf(file) + strings.TrimPrefix(before, clause) + line + b.text + after, nil
}

// importsOf returns the imports that a file without any needs.
func importsOf(file *ast.File) string {
	unresolved := make(map[*ast.Ident]bool)
	for _, name := range file.Unresolved {
		unresolved[name] = true
	}
	needed := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && unresolved[x] && imports[x.Name] != "" {
				needed[x.Name] = true
			}
		}
		return true
	})
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		fmt.Fprintf(&text, "import %q\n", imports[name])
	}
	return text.String()
}

var testPattern = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// table is the source of what the runner runs: dialogues, and the tests that
// pages show.
type table struct{ imports, dialogues, sessions, tests strings.Builder }

func (d *table) add(p *program) {
	for _, b := range p.dialogues {
		fmt.Fprintf(&d.dialogues, "\t{%q, %d, %s.NewServer, %q},\n", b.page, b.line, p.name, b.text)
	}
	if len(p.sessions) > 0 { // all of a program are one
		text := ""
		for _, b := range p.sessions {
			text += b.text
		}
		fmt.Fprintf(&d.sessions, "\t{%q, %d, %s.NewServer, %q},\n", p.sessions[0].page, p.sessions[0].line, p.name, text)
	}
	tests := 0
	for _, b := range p.code {
		for _, test := range testPattern.FindAllStringSubmatch(b.text, -1) {
			fmt.Fprintf(&d.tests, "\t%q: %s.%s,\n", b.page+" "+test[1], p.name, test[1])
			tests++
		}
	}
	if tests+len(p.dialogues)+len(p.sessions) > 0 {
		fmt.Fprintf(&d.imports, "import %q\n", base+"/"+p.name)
	}
}

func (d *table) source() string {
	return "package run_test\n\nimport \"testing\"\n" + d.imports.String() +
		"\nvar dialogues = []dialogue{\n" + d.dialogues.String() + "}\n" +
		"\nvar sessions = []session{\n" + d.sessions.String() + "}\n" +
		"\nvar tests = map[string]func(*testing.T){\n" + d.tests.String() + "}\n"
}
