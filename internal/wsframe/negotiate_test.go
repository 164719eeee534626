package wsframe

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	withBits   = noTakeover + "; server_max_window_bits="
)

func TestNegotiate(t *testing.T) {
	tests := []struct {
		proves  string
		fields  []string
		answer  string
		largest int
		bad     bool
	}{
		{"nothing is offered", nil, "", 0, false},
		{"an empty field", []string{""}, "", 0, false},
		{"another extension", []string{"permessage-bzip2"}, "", 0, false},
		{"as clients offer it", []string{"permessage-deflate"}, noTakeover, math.MaxInt, false},
		{"as browsers offer it", []string{"permessage-deflate; client_max_window_bits"}, noTakeover, math.MaxInt, false},
		{"all that can be offered", []string{"permessage-deflate; client_max_window_bits=10; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"}, withBits + "15", math.MaxInt, false},
		{"a small window", []string{"permessage-deflate; server_max_window_bits=9"}, withBits + "9", 512, false},
		{"a value in quotes", []string{`permessage-deflate;server_max_window_bits="1\0"`}, withBits + "10", 1024, false},
		{"white space", []string{"\tpermessage-deflate ;  server_max_window_bits = 8 "}, withBits + "8", 256, false},
		{"behind another one", []string{"x; y=z, permessage-deflate"}, noTakeover, math.MaxInt, false},
		{"in the second field", []string{"x", "permessage-deflate"}, noTakeover, math.MaxInt, false},
		{"the first of two offers", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, withBits + "10", 1024, false},
		{"the second, because the first is unknown", []string{"permessage-deflate; mystery, permessage-deflate; server_max_window_bits=12"}, withBits + "12", 4096, false},
		{"empty elements", []string{",, permessage-deflate,,", ","}, noTakeover, math.MaxInt, false},

		{"an unknown parameter", []string{"permessage-deflate; mystery"}, "", 0, false},
		{"an unknown parameter among known ones", []string{"permessage-deflate; client_max_window_bits; mystery=1"}, "", 0, false},
		{"a doubled parameter", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, "", 0, false},
		{"a value where none belongs", []string{"permessage-deflate; server_no_context_takeover=1"}, "", 0, false},
		{"a value where none belongs, of the client", []string{"permessage-deflate; client_no_context_takeover=true"}, "", 0, false},
		{"a value is missing", []string{"permessage-deflate; server_max_window_bits"}, "", 0, false},
		{"a window that is too small", []string{"permessage-deflate; server_max_window_bits=7"}, "", 0, false},
		{"a window that is too large", []string{"permessage-deflate; client_max_window_bits=16"}, "", 0, false},
		{"a leading zero", []string{"permessage-deflate; server_max_window_bits=08"}, "", 0, false},
		{"a sign", []string{"permessage-deflate; server_max_window_bits=+9"}, "", 0, false},
		{"no number", []string{"permessage-deflate; client_max_window_bits=x"}, "", 0, false},
		{"another case", []string{"Permessage-Deflate"}, "", 0, false},

		{"no parameter behind a semicolon", []string{"permessage-deflate;"}, "", 0, true},
		{"no value behind an equals sign", []string{"permessage-deflate; server_max_window_bits="}, "", 0, true},
		{"no comma between two", []string{"permessage-deflate permessage-deflate"}, "", 0, true},
		{"a parameter without a name", []string{"permessage-deflate; =9"}, "", 0, true},
		{"quotes that do not end", []string{`permessage-deflate; server_max_window_bits="9`}, "", 0, true},
		{"quotes around nothing", []string{`permessage-deflate; server_max_window_bits=""`}, "", 0, true},
		{"quotes around what is no token", []string{`permessage-deflate; server_max_window_bits="9 "`}, "", 0, true},
		{"a fault behind a good offer", []string{"permessage-deflate, @"}, "", 0, true},
		{"a parameter without an extension", []string{"; server_max_window_bits=9"}, "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			got, err := Negotiate(tt.fields)
			if want := (Compression{tt.answer, tt.largest}); got != want || (err != nil) != tt.bad {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		})
	}
}

var (
	reToken  = "[-!#$%&'*+.^_`|~0-9A-Za-z]"
	reParam  = reToken + `+([ \t]*=[ \t]*(` + reToken + `+|"(\\?` + reToken + `)+"))?`
	reExt    = reToken + `+([ \t]*;[ \t]*` + reParam + `)*`
	wellMade = regexp.MustCompile(`^[ \t]*(` + reExt + `)?([ \t]*,[ \t]*(` + reExt + `)?)*[ \t]*$`)
)

// referenceNegotiate is RFC 7692 section 7.1 for well-made fields, where commas
// and semicolons cannot stand in quotes.
func referenceNegotiate(field string) string {
	for ext := range strings.SplitSeq(field, ",") {
		parts := strings.Split(ext, ";")
		if strings.Trim(parts[0], " \t") != "permessage-deflate" {
			continue
		}
		var names []string
		good, answer := true, noTakeover
		for _, part := range parts[1:] {
			name, value, valued := strings.Cut(part, "=")
			name = strings.Trim(name, " \t")
			value = strings.NewReplacer(`"`, "", `\`, "").Replace(strings.Trim(value, " \t"))
			number := slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, value)
			switch name {
			case "server_no_context_takeover", "client_no_context_takeover":
				good = good && !valued
			case "client_max_window_bits":
				good = good && (!valued || number)
			case "server_max_window_bits":
				good = good && number
				answer = withBits + value
			default:
				good = false
			}
			good = good && !slices.Contains(names, name)
			names = append(names, name)
		}
		if good {
			return answer
		}
	}
	return ""
}

// FuzzNegotiate proves that only what was offered is answered, for whatever
// clients send.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=10, permessage-deflate",
		`permessage-deflate; server_max_window_bits="1\2"; client_no_context_takeover`, "x;y, permessage-deflate;z=1,,",
		"permessage-deflate; server_max_window_bits=;", `a;b="c`, "permessage-deflate;server_no_context_takeover;server_no_context_takeover",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got, err := Negotiate([]string{field})
		if wellMade.MatchString(field) != (err == nil) {
			t.Fatalf("%q: %v", field, err)
		}
		if err != nil {
			if got != (Compression{}) {
				t.Fatalf("%q: %+v beside %v", field, got, err)
			}
			return
		}
		want := referenceNegotiate(field)
		largest := 0
		if want != "" {
			largest = math.MaxInt
			if n, err := strconv.Atoi(strings.TrimPrefix(want, withBits)); err == nil && n < 15 {
				largest = 1 << n
			}
		}
		if got.Answer != want || got.Largest != largest {
			t.Errorf("%q: %+v, want %q, %d", field, got, want, largest)
		}
	})
}
