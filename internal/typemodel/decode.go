package typemodel

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode checks raw and decodes it into the value that into points to, which
// must be a zero value of the model's type. raw must have passed jsonscan.Scan;
// it may have white space where a member was blanked. The decoded value shares
// nothing with raw.
//
// Members that are not there and have a default get it. Decode returns every fault
// of raw, in the order of the input; missing members come at the end of their
// object. Of what types with UnmarshalJSON refuse it returns the first, if there
// is nothing else. Then what into points to is unspecified.
//
// If there is no fault it calls the Validate methods of the value and its parts,
// inner ones first, and returns the first error as a *ValidateError.
func (m *Model) Decode(ctx context.Context, raw []byte, into any) ([]Fault, error) {
	faults, raw, decoded := m.inspectInto(raw, into)
	switch {
	case faults != nil:
		return faults, nil
	case decoded:
		return nil, m.validated(ctx, into)
	}
	return m.decodeChecked(ctx, raw, into)
}

// inspectInto is inspect, and decodes what has no fault if the plan takes it. No
// walker is held when it returns: what runs then may take long.
func (m *Model) inspectInto(data []byte, into any) (faults []Fault, filled []byte, decoded bool) {
	w := startWalk(m.root, data)
	defer w.end()
	if len(w.faults) > 0 {
		return w.everyFault(m.root), nil, false
	}
	if len(w.fillings) > 0 {
		data = w.filled()
	}
	return nil, data, m.plan != nil && m.plan.Decode(data, into, &w.scratch)
}

// decodeChecked decodes what a walker has found no fault in, and filled.
func (m *Model) decodeChecked(ctx context.Context, raw []byte, into any) ([]Fault, error) {
	if err := json.Unmarshal(raw, into, m.decoding); err != nil {
		if t := reflect.TypeOf(into); t == nil || t.Kind() != reflect.Pointer || t.Elem() != m.typ {
			return nil, fmt.Errorf("typemodel: %v decoded into %v", m.typ, t)
		}
		w := startWalk(m.root, raw)
		defer w.end()
		if faults := w.everyFault(m.root); faults != nil {
			return faults, nil
		}
		return []Fault{judged(err)}, nil
	}
	return nil, m.validated(ctx, into)
}

// validated calls the Validate methods of what into points to.
func (m *Model) validated(ctx context.Context, into any) error {
	if !m.validate {
		return nil
	}
	var v validation
	return v.value(ctx, m.root, reflect.ValueOf(into).Elem())
}

// judged turns an error of the JSON library into a fault. Its text stays here:
// it differs between builds, and may repeat values.
func judged(err error) Fault {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return Fault{shortened(syntactic.JSONPointer), isDuplicate}
		}
		return Fault{shortened(syntactic.JSONPointer), "is malformed"}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return Fault{"", "is not valid"}
	}
	f := Fault{shortened(semantic.JSONPointer), "is not valid"}
	if errors.Is(err, json.ErrUnknownName) {
		f.Message = "is unknown"
	} else if t := semantic.GoType; t != nil && t.Kind() != reflect.Pointer && t.Name() != "" && t.PkgPath() != "" {
		f.Message = "is not valid for " + rootName(t)
	}
	return f
}
