package dynamodb

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/engine"
)

// TestBatchForm is that what is written is read as it was, and that the form is no
// longer than it is taken for.
func TestBatchForm(t *testing.T) {
	text := func(t *rapid.T, most int, what string) string {
		return string(rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, what))
	}
	of := func(t *rapid.T, n int, what string) string {
		return string(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, what))
	}
	rapid.Check(t, func(t *rapid.T) {
		b := batch{
			class: engine.Class(rapid.IntRange(0, 3).Draw(t, "class")),
			keeps: time.Duration(rapid.Int64Range(0, ttlMost.Milliseconds()).Draw(t, "ms")) * time.Millisecond,
			token: of(t, tokenLen, "token"), events: []entry{},
		}
		length := 0
		for range rapid.IntRange(0, 5).Draw(t, "number") {
			n := entry{ms: rapid.Int64Range(0, 1<<50).Draw(t, "time"), key: text(t, 300, "key"), binary: rapid.Bool().Draw(t, "binary")}
			if rapid.Bool().Draw(t, "with id") {
				n.id = of(t, idLen, "id")
			}
			if rapid.Bool().Draw(t, "with body") {
				n.body, n.size = of(t, bodyLen, "body"), rapid.IntRange(0, 1<<30).Draw(t, "size")
			} else {
				n.except, n.data = text(t, 300, "except"), []byte(text(t, 2000, "data"))
			}
			b.events = append(b.events, n)
			length += n.length()
		}
		form := b.encode()
		if len(form) > length+32 {
			t.Fatalf("the form has %d bytes and was taken for %d", len(form), length)
		}
		got, err := parseBatch(form)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.events {
			if len(got.events[i].data) == 0 && len(b.events[i].data) == 0 {
				got.events[i].data, b.events[i].data = nil, nil
			}
		}
		if !reflect.DeepEqual(got, b) {
			t.Fatalf("%+v was read as %+v", b, got)
		}
		for cut := range form {
			if _, err := parseBatch(form[:cut]); !errors.Is(err, errForm) {
				t.Fatalf("the first %d of %d bytes are read: %v", cut, len(form), err)
			}
		}
	})
}

// FuzzBatchForm is that nothing in the table makes a reader panic, or take much
// memory, and that there is one form of a batch.
func FuzzBatchForm(f *testing.F) {
	whole := batch{class: engine.Recoverable, keeps: time.Hour, token: "12345678", events: []entry{
		{ms: 1, id: strings.Repeat("i", idLen), key: "k", except: "e", data: []byte("data"), binary: true},
		{ms: 2, body: strings.Repeat("b", bodyLen), size: 5},
	}}
	f.Add(whole.encode())
	f.Add([]byte{form, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		got, err := parseBatch(b)
		if !bytes.Equal(b, before) {
			t.Fatal("what was read was changed")
		}
		if err != nil {
			return
		}
		again, err := parseBatch(got.encode())
		if err != nil || !reflect.DeepEqual(got.encode(), again.encode()) {
			t.Fatalf("%+v is read as %+v, %v", got, again, err)
		}
	})
}
