package client

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// took reads a stream that is cut in pieces, the lengths of which repeat, and
// returns its events and the number of its comments. It fails as the parser does.
func took(s *eventStream, text []byte, cuts []byte) (events [][2]string, comments int, _ error) {
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		piece := bytes.Clone(text[:n])
		text = text[n:]
		for {
			ev, rest, found, err := s.next(piece)
			if err != nil {
				return events, comments, err
			}
			if !found {
				break
			}
			if ev.comment {
				comments++
			} else {
				events = append(events, [2]string{string(ev.name), string(ev.data)})
			}
			piece = rest
		}
	}
	return events, comments, nil
}

var anyLineEnd = regexp.MustCompile("\r\n|\r|\n")

// standard reads a whole stream in the words of the HTML standard, section
// 9.2.6. It shares nothing with the parser.
func standard(stream string) (events [][2]string, comments int) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	lines := anyLineEnd.Split(stream, -1)
	data, eventType := "", ""
	for _, line := range lines[:len(lines)-1] { // what has no end is discarded
		switch {
		case line == "":
			if data != "" {
				events = append(events, [2]string{eventType, strings.TrimSuffix(data, "\n")})
			}
			data, eventType = "", ""
			continue
		case strings.HasPrefix(line, ":"):
			comments++
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			eventType = value
		case "data":
			data += value + "\n"
		}
	}
	return events, comments
}

// FuzzEventStream proves that the parser finds what the standard does, wherever
// the stream is cut, and that it keeps no more than it may.
func FuzzEventStream(f *testing.F) {
	for _, text := range []string{
		"data: a\n\ndata:b\r\n\r\ndata:  c\r\r", ": hi\n\nevent: x\ndata: 1\ndata: 2\n\n", "\ufeffdata: a\n\n\ufeffdata: b\n\n",
		"data\n\ndata\ndata\n\ndata:\n\n", "event\ndata: x\n\nid: 7\nretry: 1\n:\ndata: y\r\n\r\n", "data: never ended\n", "data: a\rdata: b\r\n\n\rdata: c\r\r\n",
		"datax: a\n\n data: b\n\nevent: gone\n\ndata: kept\n\n", "data: {\"open\":{}}\n\ndata: \xff\x00\n\n",
	} {
		for _, cuts := range []string{"", "\x00", "\x01\x02", "\x05"} {
			f.Add([]byte(text), []byte(cuts))
		}
	}
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		got, comments, err := took(&eventStream{limit: len(text)}, text, cuts)
		want, wantComments := standard(string(text))
		if err != nil || !slices.Equal(got, want) || comments != wantComments {
			t.Fatalf("%q %v:\n got %q, %d comments, %v\nwant %q, %d comments", text, cuts, got, comments, err, want, wantComments)
		}
		const limit = 8
		s := &eventStream{limit: limit}
		small, _, err := took(s, text, cuts)
		if len(s.line) > limit+fieldSize || len(s.data) > limit || len(s.name) > limit+fieldSize {
			t.Fatalf("%q: %d, %d and %d bytes are kept", text, len(s.line), len(s.data), len(s.name))
		}
		if len(small) > len(want) || !slices.Equal(small, want[:len(small)]) {
			t.Fatalf("%q: %q is not the beginning of %q", text, small, want)
		}
		if err == nil && len(small) != len(want) {
			t.Fatalf("%q: an event is missing without an error", text)
		}
	})
}

// An event is as long as it may be, and not longer, in one line or in many.
func TestEventStreamLimit(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"just fits", "data: " + strings.Repeat("x", 100) + "\n\n", true},
		{"a byte more", "data: " + strings.Repeat("x", 101) + "\n\n", false},
		{"many lines", strings.Repeat("data: xxxx\n", 20) + "\n", true},
		{"a line more", strings.Repeat("data: xxxx\n", 20) + "data\ndata\n\n", false},
		{"a line without an end", strings.Repeat("x", 200), false},
		{"a comment without an end", ":" + strings.Repeat("x", 200), false},
		{"many comments", strings.Repeat(": still here\n", 200), true},
		{"many fields", strings.Repeat("id: 7\n", 200), true},
	} {
		for _, cuts := range []string{"", "\x00", "\x30"} {
			if _, _, err := took(&eventStream{limit: 100}, []byte(tt.text), []byte(cuts)); (err == nil) != tt.ok {
				t.Errorf("%s, cut at %q: %v", tt.name, cuts, err)
			}
		}
	}
}

// A long event gives its memory back, one event later.
func TestEventStreamMemory(t *testing.T) {
	s := &eventStream{limit: 1 << 20}
	long := []byte("data: " + strings.Repeat("x", 1<<19) + "\n\n")
	if _, _, err := took(s, append(long, "data: y\n\n"...), []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	if n := cap(s.line) + cap(s.data); n > 200<<10 {
		t.Errorf("%d bytes are kept", n)
	}
}
