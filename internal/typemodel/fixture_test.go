package typemodel_test

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// The union of the tests, with variants of both forms.
type status interface{ status() }

type processing struct {
	Step  string         `json:"step" minLength:"1"`
	Ratio float64        `json:"ratio,omitzero" minimum:"0" maximum:"1"`
	Extra map[string]int `json:"extra,omitempty"`
}

type complete struct {
	ID    int64  `json:"id,string"`
	Child status `json:"child,omitzero"`
	*Meta
}

type Meta struct {
	Note string `json:"note,omitempty"`
}

type idle struct{}

func (processing) status() {}
func (*complete) status()  {}
func (idle) status()       {}

// activity shares a variant with status, and the discriminator with it.
type activity interface{ status() }

var _ = registered(typemodel.RegisterUnion("status.go:1", "type", map[string]status{
	"processing": processing{}, "complete": &complete{}, "idle": idle{},
}))

var _ = registered(typemodel.RegisterUnion("x", "type", map[string]activity{"processing": processing{}}))

func registered(err error) bool {
	if err != nil {
		panic(err)
	}
	return true
}

type level string

type pair[A, B any] struct {
	First  A `json:"first"`
	Second B `json:"second"`
}

type base struct {
	ID   int64  `json:"id" minimum:"1"`
	Name string `json:"name,omitempty"`
}

// rich has every supported kind of field.
type rich struct {
	base
	Text     string                    `json:"text" minLength:"2" maxLength:"5" pattern:"^[a-zä]*$"`
	Level    level                     `json:"level" enum:"low,high"`
	Flag     bool                      `json:"flag"`
	Small    int8                      `json:"small" maximum:"100"`
	Big      uint64                    `json:"big" minimum:"1" maximum:"18446744073709551614"`
	Ratio    float64                   `json:"ratio" minimum:"-1.5" maximum:"1.5"`
	Single   float32                   `json:"single,omitzero"`
	Quoted   int64                     `json:"quoted,string" minimum:"-5"`
	Bytes    []byte                    `json:"bytes"`
	Four     [4]byte                   `json:"four"`
	When     time.Time                 `json:"when"`
	Addr     netip.Addr                `json:"addr"`
	Raw      jsontext.Value            `json:"raw"`
	Std      stdjson.RawMessage        `json:"std"`
	Number   stdjson.Number            `json:"number"`
	Maybe    *string                   `json:"maybe"`
	Tree     *rich                     `json:"tree,omitempty"`
	List     []pair[string, int]       `json:"list" minItems:"1" maxItems:"3"`
	Triple   [3]int                    `json:"triple"`
	ByName   map[string]pair[int, any] `json:"-"`
	Counts   map[string]int            `json:"counts" maxProperties:"2"`
	ByInt    map[int32]string          `json:"byInt"`
	ByAddr   map[netip.Addr]bool       `json:"byAddr"`
	Status   status                    `json:"status"`
	Statuses []status                  `json:"statuses"`
	ByStatus map[string]status         `json:"byStatus"`
	Fixed    processing                `json:"fixed"`
	MaybeS   *status                   `json:"maybeS"`
}

const richJSON = `{"id":1,"text":"abä","level":"low","flag":true,"small":-128,"big":18446744073709551614,"ratio":1.5,
"quoted":"-5","bytes":"AAE=","four":"AAECAw==","when":"2026-11-23T18:00:00.5+02:00","addr":"::1","raw":{"a":[null]},"std":null,
"number":1e400,"maybe":null,"list":[{"first":"a","second":2}],"triple":[1,2,3],"counts":{"a":1},"byInt":{"-0":"a","5":"b"},
"byAddr":{"1.2.3.4":true},"status":{"type":"processing","step":"x"},
"statuses":[{"id":"7","child":{"step":"y","type":"processing"},"note":"n","type":"complete"},{"type":"idle"}],
"byStatus":{"a":{"type":"idle"}},"fixed":{"type":"processing","step":"z","ratio":0.5},"maybeS":{"type":"idle"}}`

// model returns the model of T; it must be allowed.
func model[T any](t testing.TB, use typemodel.Use) *typemodel.Model {
	t.Helper()
	m, err := typemodel.Of(reflect.TypeFor[T](), use)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// decode scans and decodes raw.
func decode[T any](t testing.TB, raw string) (T, []typemodel.Fault, error) {
	t.Helper()
	var v T
	data := []byte(raw)
	if _, err := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64}); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	before := bytes.Clone(data)
	faults, err := model[T](t, typemodel.Input).Decode(context.Background(), data, &v)
	if !bytes.Equal(before, data) {
		t.Fatalf("Decode changed its input %s to %s", before, data)
	}
	return v, faults, err
}

// validated is a type whose parts validate themselves.
type validated struct {
	Name  string               `json:"name"`
	Parts []part               `json:"parts,omitempty"`
	Named map[string]*part     `json:"named,omitempty"`
	Mail  mail                 `json:"mail,omitempty"`
	Union shape                `json:"union,omitzero"`
	Two   twoBases             `json:"two,omitzero"`
	Own   ownBase              `json:"own,omitzero"`
	Other map[netip.Addr]*part `json:"other,omitempty"`
}

type part struct {
	N int `json:"n"`
}

type mail string

type shape interface{ shape() }

type circle struct {
	R int `json:"r"`
}

type baseA struct {
	A int `json:"a"`
}

type BaseA struct {
	A int `json:"a"`
}

type BaseB struct {
	B int `json:"b"`
}

type twoBases struct {
	BaseA
	BaseB
}

type ownBase struct {
	baseA
	C int `json:"c"`
}

var errBad = errors.New("bad")

type callsKey struct{}

// called records a call of a Validate method, and fails for negative numbers.
func called(ctx context.Context, what string, n int) error {
	if calls, ok := ctx.Value(callsKey{}).(*[]string); ok {
		*calls = append(*calls, fmt.Sprint(what, n))
	}
	if n < 0 {
		return errBad
	}
	return nil
}

func (v *validated) Validate(ctx context.Context) error { return called(ctx, "validated", len(v.Name)) }
func (p *part) Validate(ctx context.Context) error      { return called(ctx, "part", p.N) }
func (m mail) Validate(ctx context.Context) error       { return called(ctx, "mail", len(m)) }
func (c circle) Validate(ctx context.Context) error     { return called(ctx, "circle", c.R) }
func (b *baseA) Validate(ctx context.Context) error     { return called(ctx, "baseA", b.A) }
func (b *BaseA) Validate(ctx context.Context) error     { return called(ctx, "BaseA", b.A) }
func (b BaseB) Validate(ctx context.Context) error      { return called(ctx, "BaseB", b.B) }
func (circle) shape()                                   {}

var _ = registered(typemodel.RegisterUnion("x", "kind", map[string]shape{"circle": circle{}}))
