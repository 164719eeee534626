package typemodel

import (
	"math"
	"reflect"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// shape says how the JSON of a node is checked.
type shape uint8

const (
	shapeAny    shape = iota // raw JSON: nothing to check
	shapeOpaque              // a type that decodes itself: the strict decode judges
	shapeStruct
	shapeUnion
	shapeMap
	shapeArray // slice or array
	shapeString
	shapeText // a type with text methods: a string, the strict decode judges
	shapeTime
	shapeURL
	shapeBytes
	shapeBool
	shapeInt
	shapeUint
	shapeFloat
	shapeNumber // encoding/json.Number
	shapeTag    // the discriminator of a variant: one fixed string
)

// node is the plan for one place of a type: the type without its pointers, and
// what the tags of the field that holds it add. Nodes do not change once their
// model is built.
type node struct {
	shape    shape
	typ      reflect.Type
	nullable bool // behind a pointer, or decides itself
	quoted   bool // a number in a string, by `json:",string"`
	noun     string
	object   *object // shapeStruct
	union    *union  // shapeUnion
	variants []*object
	enum     *enum // of strings, integers and texts whose type is declared one
	elem     *node // shapeMap, shapeArray
	key      *node // shapeMap
	length   int   // of a Go array or byte array; -1 for slices
	tag      string
	checks   checks
	unique   bool            // uniqueItems
	keywords []schemaKeyword // the constraints, for the schema
	validate bool            // something at or below this node has a Validate method
}

// checks are the constraints of a node, by the values they look at.
type checks struct {
	text  []check[[]byte] // decoded strings
	count []check[int]    // elements of arrays, entries of maps
	ints  []check[int64]
	uints []check[uint64]
	float []check[float64]
	exact []check[[]byte] // floats and numbers as they are written
	bools []check[bool]
}

// check is one constraint. It returns "" or what is wrong, for the client.
type check[V any] interface{ fault(v V) string }

// object is the plan of a struct.
type object struct {
	typ    reflect.Type
	fields []field
	byName map[string]int
	// required has a bit for each field that must be there.
	required []uint64
	defaults bool  // some fields have one
	validate bool  // something at or below this struct has a Validate method
	embedded []int // fields whose Validate methods have to be called for this struct
}

// field is one member of an object. The discriminator of a variant is a field
// without an index.
type field struct {
	jsonField
	node     *node
	required bool
	quoted   string // the name as JSON with a colon, "" if it needs escapes
	doc      string

	deprecated  bool
	example     string // as the tag has it
	hasExample  bool
	defaultText string // as the tag has it; inputs and opening data only
	hasDefault  bool
	defaultJSON []byte
	filling     []byte // the member with its default, as JSON
}

// finish builds the indexes of o once its fields are known.
func (o *object) finish() {
	o.byName = make(map[string]int, len(o.fields))
	o.required = make([]uint64, (len(o.fields)+63)/64)
	for i := range o.fields {
		f := &o.fields[i]
		o.byName[f.name] = i
		if f.required {
			o.required[i/64] |= 1 << (i % 64)
		}
		o.defaults = o.defaults || f.hasDefault
		if f.quoted = plainName(f.name); f.quoted != "" {
			f.quoted += ":"
		}
	}
}

// plainName returns name as JSON, or "" if it is empty or would need escapes.
func plainName(name string) string {
	for _, c := range []byte(name) {
		if c < ' ' || c == '"' || c == '\\' {
			return ""
		}
	}
	if name == "" || !utf8.ValidString(name) {
		return ""
	}
	return `"` + name + `"`
}

// kind returns what callers of the package are told of n.
func (n *node) kind() Kind {
	if n.quoted {
		return String
	}
	switch n.shape {
	case shapeStruct:
		return Object
	case shapeUnion:
		return Union
	case shapeMap:
		return Map
	case shapeArray:
		return Array
	case shapeString, shapeText, shapeTime, shapeURL, shapeBytes, shapeTag:
		return String
	case shapeInt, shapeUint, shapeFloat, shapeNumber:
		return Number
	case shapeBool:
		return Boolean
	}
	return Any
}

// name returns what n must be, for the client; null aside.
func (n *node) name() string {
	noun := "any JSON"
	switch n.shape {
	case shapeStruct, shapeUnion, shapeMap:
		noun = "an object"
	case shapeArray:
		noun = "an array"
	case shapeString, shapeText, shapeTag:
		noun = "a string"
	case shapeTime:
		noun = "a time as a string"
	case shapeURL:
		noun = "a URL as a string"
	case shapeBytes:
		noun = "base64 as a string"
	case shapeBool:
		noun = "true or false"
	case shapeInt, shapeUint:
		noun = "an integer"
	case shapeFloat, shapeNumber:
		noun = "a number"
	}
	if n.quoted {
		noun += " in a string"
	}
	return noun
}

// quotedTag returns the tag of a discriminator as JSON.
func (n *node) quotedTag() []byte {
	b, _ := jsontext.AppendQuote(nil, n.tag)
	return b
}

// intRange returns the bounds of a signed integer type.
func intRange(t reflect.Type) (low, high int64) {
	bits := t.Bits()
	return math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits)
}

// uintMax returns the greatest value of an unsigned integer type.
func uintMax(t reflect.Type) uint64 { return math.MaxUint64 >> (64 - t.Bits()) }
