package sse

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// FuzzSplitLines compares what a body is split into with a reader of lines that
// shares nothing with it.
func FuzzSplitLines(f *testing.F) {
	for _, seed := range []string{"", "\n", "a", "a\n", "a\nb", "\n\na\r\n", "\xff", "123456789\n"} {
		f.Add([]byte(seed), 8)
	}
	f.Fuzz(func(t *testing.T, body []byte, limit int) {
		limit = max(1, min(limit, 1<<20))
		before := bytes.Clone(body)
		got, err := splitLines(body, limit)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		want, ok := linesByByte(body, limit)
		if ok != (err == nil) {
			t.Fatalf("error %v, want one: %t", err, !ok)
		}
		if err != nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("message %d is %q, want %q", i, got[i], want[i])
			}
		}
	})
}

// linesByByte is the oracle.
func linesByByte(body []byte, limit int) (lines [][]byte, ok bool) {
	line, open := []byte{}, false
	for _, b := range body {
		if b == '\n' {
			lines, line, open = append(lines, line), []byte{}, false
			continue
		}
		line, open = append(line, b), true
	}
	if open {
		lines = append(lines, line)
	}
	for _, l := range lines {
		if len(l) > limit {
			return nil, false
		}
	}
	return lines, len(lines) <= maxLines && utf8.Valid(body)
}

// Whatever text is an event, a reader of the standard gets it back, but for line
// ends, all of which become LF.
func TestEventsOfAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.SampledFrom([]byte("ab: \r\n\x00"))).Draw(t, "text")
		event := appendText(nil, text)
		want := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		body, ok := bytes.CutSuffix(event, []byte("\n\n"))
		var got [][]byte
		for line := range bytes.SplitSeq(body, []byte("\n")) {
			value, is := bytes.CutPrefix(line, []byte("data: "))
			ok = ok && is
			got = append(got, value)
		}
		if joined := bytes.Join(got, []byte("\n")); !ok || !bytes.Equal(joined, want) || bytes.IndexByte(event, '\r') >= 0 {
			t.Fatalf("%q is written as %q", text, event)
		}
	})
}

func TestSecretsAreFoundByThemAlone(t *testing.T) {
	g := newRegister("")
	seen := make(map[string]bool)
	var streams []*stream
	for range 1000 {
		s := &stream{secret: g.newSecret()}
		if seen[s.secret] || len(s.secret) != 8+1+2*nameLen {
			t.Fatalf("the secret %q", s.secret)
		}
		seen[s.secret] = true
		g.add(s)
		streams = append(streams, s)
	}
	for _, s := range streams {
		if g.find(s.secret) != s {
			t.Fatal("a stream is not found")
		}
		g.remove(s)
		if g.find(s.secret) != nil {
			t.Fatal("a stream is found that was removed")
		}
	}
	if len(g.streams) != 0 || newRegister("").find(streams[0].secret) != nil {
		t.Error("something is left")
	}
}
