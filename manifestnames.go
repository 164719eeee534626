package kanava

import (
	"cmp"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// typeNames chooses the names of types in a manifest, by those that the
// definitions have. A name is that of the Go type, with an upper-case first
// letter: Page[shop.Item] is PageItem. Types of several packages with one name
// have the package's before it: ShopItem, PageShopItem. A type whose uses differ
// tells which one: OrderInput. What is still not unique is numbered, in the
// order of package paths. So a name does not depend on the order of the wiring.
func typeNames(defs []typemodel.Definition) map[string]string {
	list := slices.Clone(defs)
	slices.SortStableFunc(list, func(x, y typemodel.Definition) int {
		return cmp.Or(cmp.Compare(x.Type.PkgPath(), y.Type.PkgPath()), cmp.Compare(x.Type.String(), y.Type.String()), cmp.Compare(usePlace(x.Use), usePlace(y.Use)))
	})
	chosen := make(map[reflect.Type]string, len(list))
	for qualified := range 3 {
		byName := map[string]map[reflect.Type]bool{}
		for t, name := range chosen {
			byName[name] = map[reflect.Type]bool{t: true}
		}
		var left []reflect.Type
		for _, d := range list {
			if _, done := chosen[d.Type]; done {
				continue
			}
			name := typeName(d.Type, qualified, defs)
			if byName[name] == nil {
				byName[name] = map[reflect.Type]bool{}
			}
			byName[name][d.Type] = true
			left = append(left, d.Type)
		}
		for _, t := range left {
			if name := typeName(t, qualified, defs); len(byName[name]) == 1 || qualified == 2 {
				chosen[t] = name
			}
		}
	}
	names := map[string]string{}
	taken := map[string]bool{}
	seen := map[reflect.Type]bool{}
	for _, d := range list {
		name := chosen[d.Type]
		if seen[d.Type] {
			name += map[typemodel.Use]string{typemodel.Input: "Input", typemodel.Opening: "Opening"}[d.Use]
		}
		seen[d.Type] = true
		unique := name
		for i := 2; taken[unique]; i++ {
			unique = name + strconv.Itoa(i)
		}
		taken[unique] = true
		names[d.Name] = unique
	}
	return names
}

// usePlace orders uses: the first one that a type has needs no suffix.
func usePlace(u typemodel.Use) int {
	return map[typemodel.Use]int{typemodel.Output: 0, typemodel.Input: 1, typemodel.Opening: 2}[u]
}

var (
	localType = regexp.MustCompile(`·\d+`)
	// qualifiedName is a name in the arguments of a generic type, with the
	// last element of the package's path.
	qualifiedName = regexp.MustCompile(`(?:[^\[\],*\s/]*/)*(?:([^\[\],*\s./]+)(?:\.[^\[\],*\s./]+)*\.)?([^\[\],*\s./]+)`)
)

// typeName returns the name of t, with the packages of type arguments if
// qualified is 1 and t has any, and else with its own; with 2 it has both. A
// struct without a name has that of the field that holds it, behind the name of
// the field's struct.
func typeName(t reflect.Type, qualified int, defs []typemodel.Definition) string {
	if t.Name() == "" {
		return unnamedType(t, qualified, defs)
	}
	base, arguments, generic := strings.Cut(localType.ReplaceAllString(t.Name(), ""), "[")
	name := upperFirst(identifier(base))
	if qualified == 2 || qualified == 1 && !generic {
		name = upperFirst(identifier(path.Base(t.PkgPath()))) + name
	}
	for _, part := range qualifiedName.FindAllStringSubmatch(arguments, -1) {
		if qualified > 0 && part[1] != "" {
			name += upperFirst(identifier(part[1]))
		}
		name += upperFirst(identifier(part[2]))
	}
	return name
}

func unnamedType(t reflect.Type, qualified int, defs []typemodel.Definition) string {
	for _, d := range defs {
		if d.Type.Name() == "" {
			continue
		}
		for _, f := range d.Fields {
			sf, ok := f.Owner.FieldByName(f.Go)
			for ok && slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, sf.Type.Kind()) {
				sf.Type = sf.Type.Elem()
			}
			if ok && sf.Type == t {
				return typeName(d.Type, qualified, defs) + upperFirst(f.Go)
			}
		}
	}
	return "Object"
}

// identifier returns text without what an identifier cannot have.
func identifier(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}

func upperFirst(text string) string {
	r, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return "Object"
	}
	return string(unicode.ToUpper(r)) + text[size:]
}
