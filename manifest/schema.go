package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Schema is a JSON Schema with those keywords that generators turn into types.
// The zero value allows any JSON.
type Schema struct {
	Ref        string           `json:"$ref"` // see Refers
	Type       TypeNames        `json:"type"`
	Format     string           `json:"format"`
	Encoding   string           `json:"contentEncoding"`
	Const      jsontext.Value   `json:"const"`
	Enum       []jsontext.Value `json:"enum"`
	Items      *Schema          `json:"items"`
	Properties Properties       `json:"properties"`
	Required   []string         `json:"required"`
	Additional *Schema          `json:"additionalProperties"` // of a map; nil where there are none
	Names      *Schema          `json:"propertyNames"`
	AnyOf      []*Schema        `json:"anyOf"`
	OneOf      []*Schema        `json:"oneOf"`

	Rules

	Doc        string         `json:"description"`
	Deprecated bool           `json:"deprecated"`
	Default    jsontext.Value `json:"default"`
	Go         *GoType        `json:"x-go"`

	Never bool `json:"-"` // the schema false: allows nothing
}

// Property is a member of an object.
type Property struct {
	Name     string
	Schema   *Schema
	Optional bool // not among the required members
}

// Properties are members of an object, in the order of the schema.
type Properties []Property

// TypeNames are the types of JSON that a schema allows.
type TypeNames []string

// GoType is the identity of a type in Go, under "x-go".
type GoType struct {
	Package string `json:"package"` // path; "main" for a program's own
	Name    string `json:"name,omitzero"`
	// Fields are the Go names of the members of a struct. One that comes from
	// an embedded struct has package path and name of that before it:
	// "example.com/shop.Base.ID".
	Fields map[string]string `json:"fields,omitempty"`
}

// ParseSchema reads one schema.
func ParseSchema(raw jsontext.Value) (*Schema, error) {
	s := new(Schema)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("manifest: a schema: %w", err)
	}
	return s, nil
}

// UnmarshalJSONFrom reads a schema: an object, true or false.
func (s *Schema) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*s = Schema{}
	switch dec.PeekKind() {
	case 't':
		return dec.SkipValue()
	case 'f':
		s.Never = true
		return dec.SkipValue()
	}
	type fields Schema // without this method
	if err := json.UnmarshalDecode(dec, (*fields)(s)); err != nil {
		return err
	}
	for i := range s.Properties {
		s.Properties[i].Optional = !slices.Contains(s.Required, s.Properties[i].Name)
	}
	if s.Additional != nil && s.Additional.Never {
		s.Additional = nil
	}
	return nil
}

// Rules are the constraints of a schema, as they stand there; nil where there is
// none.
type Rules struct {
	Minimum          jsontext.Value `json:"minimum"`
	Maximum          jsontext.Value `json:"maximum"`
	ExclusiveMinimum jsontext.Value `json:"exclusiveMinimum"`
	ExclusiveMaximum jsontext.Value `json:"exclusiveMaximum"`
	MultipleOf       jsontext.Value `json:"multipleOf"`
	MinLength        jsontext.Value `json:"minLength"`
	MaxLength        jsontext.Value `json:"maxLength"`
	Pattern          jsontext.Value `json:"pattern"`
	MinItems         jsontext.Value `json:"minItems"`
	MaxItems         jsontext.Value `json:"maxItems"`
	UniqueItems      jsontext.Value `json:"uniqueItems"`
	MinProperties    jsontext.Value `json:"minProperties"`
	MaxProperties    jsontext.Value `json:"maxProperties"`
}

// UnmarshalJSONFrom reads members in order.
func (p *Properties) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if k := dec.PeekKind(); k != '{' {
		return errors.New("properties is no object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*p = nil
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		next := Property{Name: name.String(), Schema: new(Schema)}
		if err := json.UnmarshalDecode(dec, next.Schema); err != nil {
			return err
		}
		*p = append(*p, next)
	}
	_, err := dec.ReadToken()
	return err
}

// UnmarshalJSONFrom reads one name or several.
func (t *TypeNames) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		var one string
		if err := json.UnmarshalDecode(dec, &one); err != nil {
			return err
		}
		*t = TypeNames{one}
		return nil
	}
	return json.UnmarshalDecode(dec, (*[]string)(t))
}

// Refers returns the name of the type that s refers to, "" if it does not.
func (s *Schema) Refers() string {
	if s.Ref == "" {
		return ""
	}
	return refName(s.Ref)
}

// IsAny reports whether s allows any JSON.
func (s *Schema) IsAny() bool {
	return s.Ref == "" && len(s.Type) == 0 && s.Const == nil && s.Enum == nil && s.AnyOf == nil && s.OneOf == nil && !s.Never
}

// Length returns how many items an array has, if that is fixed.
func (s *Schema) Length() (n int, fixed bool) {
	least, most := s.MinItems, s.MaxItems
	fixed = least != nil && bytes.Equal(least, most) && json.Unmarshal(least, &n) == nil
	return n, fixed
}

// IsNull reports whether s allows null only.
func (s *Schema) IsNull() bool { return len(s.Type) == 1 && s.Type[0] == "null" }

// NotNull returns s without null, and whether that was allowed beside something
// else.
func (s *Schema) NotNull() (rest *Schema, nullable bool) {
	if len(s.Type) == 2 && slices.Contains(s.Type, "null") {
		c := *s
		c.Type = slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == "null" })
		return &c, true
	}
	if len(s.AnyOf) == 2 && s.AnyOf[1].IsNull() && !s.AnyOf[0].IsNull() {
		return s.AnyOf[0], true
	}
	return s, false
}

const refPrefix = "#/$defs/"

func refName(ref string) string {
	name, ok := strings.CutPrefix(ref, refPrefix)
	if !ok {
		return ref
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

// Text returns a constant that is a string.
func Text(v jsontext.Value) (string, bool) {
	var s string
	if !bytes.HasPrefix(v, []byte{'"'}) || json.Unmarshal(v, &s) != nil {
		return "", false
	}
	return s, true
}
