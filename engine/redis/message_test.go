package redis

import (
	"bytes"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"pgregory.net/rapid"
)

// TestMessages proves that an event is read as it was written.
func TestMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := engine.Event{
			Key:    rapid.StringN(0, 300, -1).Draw(t, "key"),
			Except: rapid.StringN(0, 300, -1).Draw(t, "except"),
			Data:   rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			Binary: rapid.Bool().Draw(t, "binary"),
		}
		head := []byte{withoutPosition}
		if rapid.Bool().Draw(t, "position") {
			head = append([]byte("\x01epoch0123456"), 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0)
		}
		got, ok := parseMessage(string(appendBody(head, &want)))
		if !ok || got.Key != want.Key || got.Except != want.Except || got.Binary != want.Binary || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("%+v was read as %+v, %v", want, got, ok)
		}
		if len(head) == 1 {
			return
		}
		if at := (engine.Position{Epoch: "epoch0123456", Offset: 258}); got.At != at || got.Prev != 257 || got.Time.UnixMilli() != 9 {
			t.Fatalf("head was read as %+v", got)
		}
	})
}

// FuzzMessage proves that nothing that comes by a channel does harm.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x01", "\x02", "\x02\x00x", "\x02\x06\x01k\x01e{}", "\x02\x02\xff\xff\xff\xff\x0f", "\x02\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		ev, ok := parseMessage(message)
		if ok && len(ev.Key)+len(ev.Except)+len(ev.Data) > len(message) {
			t.Fatalf("%q has more than it has: %+v", message, ev)
		}
	})
}
