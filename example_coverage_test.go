package kanava_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// shownElsewhere lists what needs no Example of its own, and why.
var shownElsewhere = map[string]string{
	"kanava.Attach":             "ExampleDispatcher: what the constructor of a transport calls",
	"kanava.Backlog":            "ExampleConns_Backlogs, as Dropped",
	"kanava.ConnBacklog":        "ExampleConns_Backlogs",
	"kanava.Dropped":            "ExampleConns_Backlogs",
	"kanava.TotalBacklog":       "ExampleConns_Backlogs",
	"kanava.CallInfo":           "ExampleObserver gets one",
	"kanava.Closing":            "ExampleDispatcher: what Link.Take returns at the end",
	"kanava.Code":               "ExampleErrorf",
	"kanava.Conn":               "ExampleConns, ExampleNewPush",
	"kanava.ClientSubscription": "ExampleClientSubscribable",
	"kanava.ConnInfo":           "ExampleObserver gets one",
	"kanava.Declared":           "ExampleNewTopic: the type of Wiring.Declares",
	"kanava.Definition":         "ExampleWiring: what Server.Wire takes",
	"kanava.Detail":             "ExampleInvalid makes one",
	"kanava.Event":              "ExampleEventHub_Listen",
	"kanava.Frame":              "ExampleDispatcher",
	"kanava.HTTPCall":           "ExampleHTTPDispatcher",
	"kanava.Handler":            "ExampleMiddleware",
	"kanava.HubOptions":         "ExampleEventHub",
	"kanava.Identity":           "ExampleOptions",
	"kanava.Invocation":         "ExampleMiddleware",
	"kanava.Kind":               "ExampleMiddleware, ExampleObserver",
	"kanava.Latest":             "ExampleRecoverable, as Ordered and Volatile",
	"kanava.LatestBy":           "ExampleRecoverable",
	"kanava.Ordered":            "ExampleRecoverable",
	"kanava.Volatile":           "ExampleRecoverable",
	"kanava.Member":             "ExampleNewPresence gets some",
	"kanava.Link":               "ExampleDispatcher",
	"kanava.HistoryPage":        "ExampleTopic_History",
	"kanava.ListenOption":       "ExampleTopic_History: what Since returns",
	"kanava.LostError":          "ExampleTopic_History",
	"kanava.Position":           "ExampleTopic_History",
	"kanava.Private":            "ExampleRecoverable",
	"kanava.Since":              "ExampleTopic_History",
	"kanava.Listener":           "ExampleEventHub_Listen",
	"kanava.NopObserver":        "ExampleObserver embeds it",
	"kanava.Payload":            "ExampleOutgoing",
	"kanava.Peer":               "ExampleDispatcher implements it",
	"kanava.Sender":             "ExampleOutgoing",
	"kanava.Shared":             "ExampleDispatcher: a transport need not use it",
	"kanava.Mark":               "ExampleDispatcher: a transport need not ask for it",
	"kanava.StatelessOptions":   "ExampleStateless",
	"kanava.Subscriber":         "ExampleNewTopic: what Topic.Subscribe takes",
}

// A function has an Example of its own. A type has one, or one of a method or
// of a function that returns it; NewT is shown by T.
func TestEveryExportedIdeaHasAnExample(t *testing.T) {
	unused := make(map[string]bool)
	for name := range shownElsewhere {
		unused[name] = true
	}
	for dir, path := range map[string]string{".": "kanava", "kanavatest": "kanavatest"} {
		pkg := parsePackage(t, dir, path)
		check := func(name string, shown bool) {
			name = path + "." + name
			reason, listed := shownElsewhere[name]
			delete(unused, name)
			switch {
			case !shown && !listed:
				t.Errorf("%s has no Example", name)
			case shown && listed:
				t.Errorf("%s has an Example: take it off the list (%s)", name, reason)
			}
		}
		examples := pkg.Examples
		for _, f := range pkg.Funcs {
			check(f.Name, len(f.Examples) > 0)
			examples = append(examples, f.Examples...)
		}
		for _, typ := range pkg.Types {
			shown := typ.Examples
			for _, m := range typ.Methods {
				shown = append(shown, m.Examples...)
			}
			ofType := len(shown) > 0
			for _, f := range typ.Funcs {
				check(f.Name, len(f.Examples) > 0 || ofType && f.Name == "New"+typ.Name)
				shown = append(shown, f.Examples...)
			}
			check(typ.Name, len(shown) > 0)
			examples = append(examples, shown...)
		}
		for _, e := range examples {
			if e.Output == "" {
				t.Errorf("Example%s of package %s has no Output: it is not run", e.Name, path)
			}
		}
	}
	for name := range unused {
		t.Errorf("%s is on the list and does not exist", name)
	}
}

// parsePackage reads the package in dir with its examples.
func parsePackage(t *testing.T, dir, path string) *doc.Package {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if base := f.Name.Name; strings.TrimSuffix(base, "_test") == path {
			files = append(files, f)
		}
	}
	pkg, err := doc.NewFromFiles(fset, files, path)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}
