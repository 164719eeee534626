package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/manifest"
)

// addDocs makes doc comments of Go types, fields and functions the docs of a
// manifest, where tags and kanava.Doc have said nothing.
func addDocs(ctx context.Context, m *manifest.Manifest, p program) error {
	docs, err := readDocs(ctx, m, p)
	if err != nil {
		return err
	}
	for name, raw := range m.Types {
		s, err := manifest.ParseSchema(raw)
		if err != nil {
			return err
		}
		if s.Go == nil {
			continue
		}
		fields := map[string]string{}
		for member, field := range s.Go.Fields {
			if !strings.Contains(field, ".") {
				field = s.Go.Package + "." + s.Go.Name + "." + field
			}
			fields[member] = docs[field]
		}
		if m.Types[name], err = described(raw, docs[s.Go.Package+"."+s.Go.Name], fields); err != nil {
			return err
		}
	}
	describe := func(f *manifest.Function) {
		if f != nil && f.Doc == "" {
			f.Doc = docs[f.Go]
		}
	}
	for i := range m.Channels {
		c := &m.Channels[i]
		describe(c.Connect)
		describe(c.Message)
		for j := range c.Actions {
			describe(&c.Actions[j].Function)
		}
	}
	for i := range m.HTTP {
		describe(&m.HTTP[i].Function)
	}
	return nil
}

// readDocs reads the doc comments of the packages that a manifest names, by
// package path and name: "example.com/shop.Item", "example.com/shop.Item.ID".
func readDocs(ctx context.Context, m *manifest.Manifest, p program) (map[string]string, error) {
	paths := map[string]bool{}
	for _, raw := range m.Types {
		if s, err := manifest.ParseSchema(raw); err == nil && s.Go != nil {
			paths[s.Go.Package] = true
			for _, field := range s.Go.Fields {
				if i := strings.LastIndexByte(field, '/'); strings.Count(field[i+1:], ".") >= 2 {
					paths[field[:i+1+strings.IndexByte(field[i+1:], '.')]] = true
				}
			}
		}
	}
	mention := func(f manifest.Function) {
		if i := strings.LastIndexByte(f.Go, '/'); f.Go != "" {
			paths[f.Go[:i+1+strings.IndexByte(f.Go[i+1:], '.')]] = true
		}
	}
	for _, c := range m.Channels {
		for _, a := range c.Actions {
			mention(a.Function)
		}
	}
	for _, f := range m.HTTP {
		mention(f.Function)
	}
	docs := map[string]string{}
	delete(paths, "")
	if paths["main"] {
		delete(paths, "main")
		readPackage(docs, "main", p.goPackage)
	}
	if len(paths) == 0 {
		return docs, nil
	}
	list, err := listPackages(ctx, p.in, slices.Sorted(maps.Keys(paths))...)
	if err != nil {
		return nil, err
	}
	for _, found := range list {
		if found.Error == nil {
			readPackage(docs, found.ImportPath, found)
		}
	}
	return docs, nil
}

// readPackage adds the doc comments of a package. A file that does not parse has
// none: it was built a moment ago.
func readPackage(docs map[string]string, path string, p goPackage) {
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				docs[path+"."+receiver(d)+d.Name.Name] = text(d.Doc, nil)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if t, ok := spec.(*ast.TypeSpec); ok {
						doc := t.Doc
						if doc == nil && !d.Lparen.IsValid() {
							doc = d.Doc
						}
						docs[path+"."+t.Name.Name] = text(doc, t.Comment)
						readFields(docs, path+"."+t.Name.Name, t.Type)
					}
				}
			}
		}
	}
}

func readFields(docs map[string]string, owner string, t ast.Expr) {
	s, ok := t.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			docs[owner+"."+name.Name] = text(f.Doc, f.Comment)
		}
	}
}

// receiver returns the name of the type that a method is of, with a dot.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return ""
		}
	}
}

// text returns a doc comment, or the comment behind a declaration.
func text(doc, behind *ast.CommentGroup) string {
	if doc == nil {
		doc = behind
	}
	return strings.TrimSpace(doc.Text())
}

// described returns a schema with doc as its description and fields as those of
// its properties, where it has none.
func described(raw jsontext.Value, doc string, fields map[string]string) (jsontext.Value, error) {
	members, err := splitObject(raw)
	if err != nil {
		return nil, err
	}
	for i, m := range members {
		if m.name != "properties" {
			continue
		}
		properties, err := splitObject(m.value)
		if err != nil {
			return nil, err
		}
		for j, p := range properties {
			if properties[j].value, err = described(p.value, fields[p.name], nil); err != nil {
				return nil, err
			}
		}
		members[i].value = joinObject(properties)
	}
	if doc != "" && !slices.ContainsFunc(members, func(m objectMember) bool { return m.name == "description" }) {
		quoted, err := jsontext.AppendQuote(nil, doc)
		if err != nil {
			return nil, err
		}
		members = append(members, objectMember{"description", quoted})
	}
	if len(members) == 0 {
		return raw, nil // also true and false
	}
	return joinObject(members), nil
}

type objectMember struct {
	name  string
	value jsontext.Value
}

// splitObject returns the members of an object in order, none of anything else.
func splitObject(raw jsontext.Value) ([]objectMember, error) {
	if raw.Kind() != '{' {
		return nil, nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var members []objectMember
	for dec.PeekKind() != '}' {
		var m objectMember
		if err := json.UnmarshalDecode(dec, &m.name); err != nil {
			return nil, err
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		m.value = value.Clone()
		members = append(members, m)
	}
	return members, nil
}

func joinObject(members []objectMember) jsontext.Value {
	b := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, m.name) // it came from JSON
		b = append(append(b, ':'), m.value...)
	}
	return append(b, '}')
}
