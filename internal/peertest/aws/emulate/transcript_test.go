package emulate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// The end of what is said is kept, also where one part is too long.
func TestTranscriptKeepsTheEnd(t *testing.T) {
	tr := new(transcript)
	for range 3 {
		tr.Write([]byte(strings.Repeat("x", most-1)))
	}
	tr.Write([]byte("the end"))
	if got := tr.String(); len(got) != most || !strings.HasSuffix(got, "xthe end") {
		t.Errorf("%d bytes, the end is %q", len(got), got[len(got)-10:])
	}
	tr.Write([]byte(strings.Repeat("x", 2*most) + "!"))
	if got := tr.String(); len(got) != most || !strings.HasSuffix(got, "x!") {
		t.Errorf("%d bytes, the end is %q", len(got), got[len(got)-10:])
	}
}

func TestTranscriptWaits(t *testing.T) {
	tr := new(transcript)
	go func() { // in parts
		tr.Write([]byte("one and t"))
		tr.Write([]byte("wo"))
	}()
	if err := tr.until(t.Context(), "two", "one"); err != nil {
		t.Error(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := tr.until(ctx, "three"); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
