package main

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-playground/validator/v10"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// contender turns the bytes of a message into a T, or refuses them.
type contender[T any] struct {
	name string
	// lenient says what it takes that others refuse.
	lenient string
	decode  func(raw []byte, into *T) error
}

// bareName is the contender that others are compared with.
const bareName = "go-json-experiment, strict, nothing checked"

func contenders[T any]() ([]contender[T], error) {
	ours, scanned, err := kanava[T]()
	if err != nil {
		return nil, err
	}
	theirs, err := viaSchema[T]()
	if err != nil {
		return nil, err
	}
	bare := contender[T]{bareName, "everything but unknown members and wrong types", func(raw []byte, into *T) error {
		return json.Unmarshal(raw, into, json.RejectUnknownMembers(true))
	}}
	return []contender[T]{bare, ours, scanned, tagged[T](), viaHuma[T](), theirs}, nil
}

// kanava is the type model: it walks over the bytes and decodes them. What it
// is given has passed the scan for grammar, limits and the routing member, which
// every message has to pass once, whatever its type; scanned has it too.
func kanava[T any]() (decode, scanned contender[T], err error) {
	m, err := typemodel.Of(reflect.TypeFor[T](), typemodel.Input)
	if err != nil {
		return decode, scanned, err
	}
	decode = contender[T]{"Kanava, decode with validation", "malformed", func(raw []byte, into *T) error {
		faults, err := m.Decode(context.Background(), raw, into)
		if faults != nil {
			return fmt.Errorf("%v", faults)
		}
		return err
	}}
	limits := jsonscan.Limits{Depth: 64, Elements: 16 << 10}
	scanned = contender[T]{"Kanava, the same with the scan before it", "", func(raw []byte, into *T) error {
		if _, err := jsonscan.Scan(raw, nil, nil, limits); err != nil {
			return err
		}
		return decode.decode(raw, into)
	}}
	return decode, scanned, nil
}

// tagged decodes with the standard library and looks at the struct after that.
func tagged[T any]() contender[T] {
	v := validator.New(validator.WithRequiredStructEnabled())
	return contender[T]{"encoding/json + validator v10", "members that are missing, unknown or stand twice", func(raw []byte, into *T) error {
		if err := stdjson.Unmarshal(raw, into); err != nil {
			return err
		}
		return v.Struct(into)
	}}
}

// viaHuma does what Huma does with a request's body: it validates an any and
// decodes once more.
func viaHuma[T any]() contender[T] {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schema := registry.Schema(reflect.TypeFor[T](), true, "")
	return contender[T]{"encoding/json + huma v2", "members that stand twice", func(raw []byte, into *T) error {
		var v any
		if err := stdjson.Unmarshal(raw, &v); err != nil {
			return err
		}
		var result huma.ValidateResult
		huma.Validate(registry, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &result)
		if len(result.Errors) > 0 {
			return errors.Join(result.Errors...)
		}
		return stdjson.Unmarshal(raw, into)
	}}
}

// viaSchema validates an any against the schema that Kanava makes of T, and
// decodes once more.
func viaSchema[T any]() (contender[T], error) {
	m, err := typemodel.Of(reflect.TypeFor[T](), typemodel.Input)
	if err != nil {
		return contender[T]{}, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Schema()))
	if err != nil {
		return contender[T]{}, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		return contender[T]{}, err
	}
	schema, err := c.Compile("schema.json")
	return contender[T]{"go-json-experiment + santhosh-tekuri v6", "", func(raw []byte, into *T) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		if err := schema.Validate(v); err != nil {
			return err
		}
		return json.Unmarshal(raw, into, json.RejectUnknownMembers(true))
	}}, err
}
