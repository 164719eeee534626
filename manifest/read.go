package manifest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	largest = 16 << 20 // bytes of a manifest
	deepest = 100      // nesting of a schema
)

// Read reads a manifest of at most 16 MiB and checks that it is whole: every
// name is there once and every reference leads to a type. Members that it does
// not know are ignored. A manifest may come from anywhere: names and texts in it
// can be any strings.
func Read(r io.Reader) (*Manifest, error) {
	raw, err := io.ReadAll(io.LimitReader(r, largest+1))
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(raw) > largest {
		return nil, fmt.Errorf("manifest: larger than %d bytes", largest)
	}
	var head struct {
		Form int `json:"kanava"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case head.Form == 0:
		return nil, errors.New(`manifest: this is no manifest: it has no member "kanava"`)
	case head.Form > Form:
		return nil, fmt.Errorf("manifest: it has form %d and this program knows form %d: use a newer one", head.Form, Form)
	}
	m := new(Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	whole := *m // the hash goes through every reference, wherever it stands
	if err := whole.SetHash(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manifest) check() error {
	if m.Level < 1 {
		return errors.New("the level is not positive")
	}
	for _, name := range slices.Sorted(maps.Keys(m.Types)) {
		if name == "" {
			return errors.New("a type has no name")
		}
		if err := m.checkSchema(m.Types[name]); err != nil {
			return fmt.Errorf("type %q: %w", name, err)
		}
	}
	names := map[string]bool{}
	for _, c := range m.Channels {
		if c.Name == "" || names[c.Name] {
			return fmt.Errorf("channel %q: the name is empty or taken", c.Name)
		}
		names[c.Name] = true
		if err := m.checkChannel(c); err != nil {
			return fmt.Errorf("channel %q: %w", c.Name, err)
		}
	}
	return m.checkHTTP()
}

func (m *Manifest) checkHTTP() error {
	wired := map[string]bool{}
	for _, f := range m.HTTP {
		if f.Method == "" || f.Pattern == "" || wired[f.name()] {
			return fmt.Errorf("function %q over HTTP: a part is empty, or it is there twice", f.name())
		}
		wired[f.name()] = true
		err := errors.Join(m.checkSchema(f.In), m.checkSchema(f.Out))
		if err == nil && len(f.Params) > 0 {
			err = m.checkParams(f.Params, f.In)
		}
		if err != nil {
			return fmt.Errorf("function %q over HTTP: %w", f.name(), err)
		}
	}
	return nil
}

func (m *Manifest) checkChannel(c Channel) error {
	seen := map[[3]string]bool{}
	once := func(what, by, name string) error {
		key := [3]string{what, by, name}
		if name == "" || seen[key] {
			return fmt.Errorf("%s %q: the name is empty or taken", what, name)
		}
		seen[key] = true
		return nil
	}
	var schemas []jsontext.Value
	var errs []error
	if c.Opening != nil {
		schemas = append(schemas, c.Opening.Type)
		for _, p := range c.Opening.Params {
			errs = append(errs, once("parameter", "", p.Name))
		}
		errs = append(errs, m.checkParams(c.Opening.Params, c.Opening.Type))
	}
	for _, f := range []*Function{c.Connect, c.Message} {
		if f != nil {
			schemas = append(schemas, f.In, f.Out)
		}
	}
	for _, a := range c.Actions {
		if !slices.Contains(c.Keys, a.By) {
			return fmt.Errorf("action %q: %q is no routing member", a.Name, a.By)
		}
		errs = append(errs, once("action", a.By, a.Name))
		schemas = append(schemas, a.In, a.Out)
	}
	for _, t := range c.Topics {
		errs = append(errs, once("topic", "", t.Name))
		schemas = append(schemas, t.Event)
	}
	for _, p := range c.Pushes {
		errs = append(errs, once("push", "", p.Name))
		schemas = append(schemas, p.Value)
	}
	for _, f := range c.ClientFuncs {
		errs = append(errs, once("client function", "", f.Name))
		schemas = append(schemas, f.In, f.Out)
	}
	for _, p := range c.Presences {
		errs = append(errs, once("presence", "", p.Name))
		schemas = append(schemas, p.Member)
	}
	for _, v := range c.Values {
		_, err := ParseSchema(v.Type)
		errs = append(errs, once("value", "", v.Name), err)
	}
	for _, s := range schemas {
		errs = append(errs, m.checkSchema(s))
	}
	return errors.Join(errs...)
}

// checkParams demands an object with the members that the parameters name.
func (m *Manifest) checkParams(params []Param, object jsontext.Value) error {
	s, err := ParseSchema(object)
	if err != nil {
		return err
	}
	if name := s.Refers(); name != "" {
		if s, err = ParseSchema(m.Types[name]); err != nil {
			return err
		}
	}
	for _, p := range params {
		if !slices.ContainsFunc(s.Properties, func(x Property) bool { return x.Name == p.Name }) {
			return fmt.Errorf("there is no member %q for a parameter", p.Name)
		}
	}
	return nil
}

func (m *Manifest) checkSchema(raw jsontext.Value) error {
	if raw == nil {
		return nil
	}
	s, err := ParseSchema(raw)
	if err != nil {
		return err
	}
	return m.checkRefs(s, 0)
}

func (m *Manifest) checkRefs(s *Schema, depth int) error {
	if s == nil {
		return nil
	}
	if depth > deepest {
		return fmt.Errorf("a schema is nested deeper than %d", deepest)
	}
	if name := s.Refers(); name != "" {
		if _, ok := m.Types[name]; !ok {
			return fmt.Errorf("it refers to %q, which is not there", s.Ref)
		}
	}
	parts := slices.Concat([]*Schema{s.Items, s.Additional}, s.AnyOf, s.OneOf)
	for _, p := range s.Properties {
		parts = append(parts, p.Schema)
	}
	for _, part := range parts {
		if err := m.checkRefs(part, depth+1); err != nil {
			return err
		}
	}
	return nil
}
