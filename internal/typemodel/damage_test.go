package typemodel_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
)

// What damage puts in place of values: every kind, bounds of types and
// their neighbours, forms of strings that are nearly right.
var (
	spareValues = []string{
		`null`, `true`, `false`, `0`, `1`, `""`, `"x"`, `[]`, `{}`, `[null]`, `{"":null}`, `{"type":"idle"}`, `{"type":"processing"}`, `{"type":"unknown"}`,
		`{"type":5}`, `[1,2]`, `["a","a"]`, `[{"x":1,"y":[]},{"y":[],"x":1.0}]`, `{"role":"admin"}`, `[[]]`, `{"a":1,"b":2,"c":3}`, `{"-0":true}`, `{"0":true,"-0":false}`, `{"128":true}`, `{"x":true}`, `[true,false,true]`, `[1,1.0]`, `[1,null,10e-1]`,
	}
	spareNumbers = []string{
		`-1`, `-0`, `0`, `127`, `128`, `-128`, `-129`, `255`, `256`, `32767`, `32768`, `65535`, `65536`, `4294967295`, `4294967296`, `9007199254740993`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`, `18446744073709551615`, `18446744073709551616`,
		`1.0`, `1e2`, `0.5`, `-1.5`, `2`, `1e308`, `1e309`, `-1e400`, `3.5e38`, `0.005`, `1.23`, `12345678901234567890.12`, `5`, `6`, `7`, `10`,
	}
	spareTexts = []string{
		"low", "Low", "admin", "guest", "boss", "read", "300", "-1", "../x?y#z", "a:b/c", "//h/p", "yes", "a1", "1a", "aaaa", "äääää", "\U0001f600\U0001f600", "5", "-0", "01", "1.0", "1e3", "1e999", "4294967296", "9223372036854775808", "-1", "10", "20", " 1",
		"2026-01-02T15:04:05Z", "2026-01-02T15:04:05", "2026-02-30T15:04:05Z", "2026-01-02t15:04:05z", "2016-12-31T23:59:60Z", "2026-01-02T15:04:05+24:00", "2026-01-02",
		"2026-1-2", "15:04:05Z", "24:00:00Z", "15:04:05", "a@b", "a@", "a..b@c", "@b", "http://a/", "/a", "a b", "http://a b/", "http://a/%zz",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae7dec11d0a76500a0c91e6bf6", "1.2.3.4", "1.2.3.256", "01.2.3.4", "::1", "::1%x", "::ffff:1.2.3.4", "-a", "a.b", "a_b",
		"AAEC", "AAE=", "AA==", "AA=", "A", "====", "AAECAwQ=", "AAECAwQFBgcI", "AAECAwQFBgc=", "AAEC\n", "AA-_",
	}
)

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// damage changes one place of doc, mostly into something that is nearly right.
func damage(random *rand.Rand, doc *tree) {
	t := pick(random, doc.all())
	switch random.IntN(8) {
	case 0: // drop
		if len(t.kids) > 0 {
			i := random.IntN(len(t.kids))
			t.kids = append(t.kids[:i:i], t.kids[i+1:]...)
			if t.kind == '{' {
				t.names = append(t.names[:i:i], t.names[i+1:]...)
			}
		}
	case 1: // add
		grow(random, doc, t)
	case 2: // retype
		t.become(pick(random, spareValues))
	case 3:
		t.become("null")
	case 4: // put in what stands elsewhere
		t.become(string(pick(random, doc.all()).append(nil)))
	case 5:
		t.escaped = true
	case 6: // rename
		if len(t.names) > 0 {
			i := random.IntN(len(t.names))
			name, kid := pick(random, []string{`"zzz"`, quoted(unquoted(t.names[i]) + "x"), quoted(strings.ToUpper(unquoted(t.names[i])))}), t.kids[i]
			t.names, t.kids = append(t.names[:i:i], t.names[i+1:]...), append(t.kids[:i:i], t.kids[i+1:]...)
			t.set(name, string(kid.append(nil)))
		}
	case 7:
		stretch(random, t)
	}
}

// grow adds a member or an element.
func grow(random *rand.Rand, doc, t *tree) {
	switch t.kind {
	case '{':
		other := pick(random, doc.all())
		if len(other.names) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(other.names))
			t.set(other.names[i], string(other.kids[i].append(nil)))
			return
		}
		t.set(pick(random, []string{`"zzz"`, `""`, `"5"`, `"-5"`, `"a/~b"`, `"::1"`, `"type"`, `"step"`}), pick(random, spareValues))
	case '[':
		raw := pick(random, spareValues)
		if len(t.kids) > 0 && random.IntN(3) > 0 {
			raw = string(pick(random, t.kids).append(nil))
		}
		t.kids = append(t.kids, parseTree([]byte(raw)))
	}
}

// stretch changes a scalar a little, or takes another of its kind.
func stretch(random *rand.Rand, t *tree) {
	switch t.kind {
	case '0':
		if random.IntN(2) == 0 {
			t.become(pick(random, spareNumbers))
			return
		}
		step := pick(random, []int64{-1, 1, 5, -10})
		if v, ok := new(big.Int).SetString(t.raw, 10); ok {
			t.become(v.Add(v, big.NewInt(step)).String())
		}
	case '"':
		text := unquoted(t.raw)
		switch runes := []rune(text); random.IntN(4) {
		case 0:
			if len(runes) > 0 {
				text = string(runes[:random.IntN(len(runes))])
			}
		case 1:
			text += pick(random, []string{"x", "ä", "0", "=", ".", " "})
		default:
			text = pick(random, spareTexts)
		}
		t.become(quoted(text))
	case 't':
		t.become("false")
	case 'f':
		t.become("true")
	}
}
