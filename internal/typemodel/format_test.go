package typemodel_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/kanava-go/kanava/internal/typemodel"
)

func TestFormats(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tc := range []struct {
		format    string
		good, bad []string
	}{
		{
			"date-time",
			[]string{"2026-01-02T15:04:05Z", "2026-01-02t15:04:05.123456789012z", "2024-02-29T00:00:00+23:59", "2016-12-31T23:59:60Z", "2016-12-31T15:59:60-08:00"},
			[]string{
				"", "2026-01-02", "2026-01-02T15:04:05", "2026-01-02 15:04:05Z", "2026-01-02T15:04:05,1Z", "2026-01-02T15:04:05.Z", "2026-01-02T15:04:60Z", "2026-02-29T00:00:00Z",
				"2026-01-02T24:00:00Z", "2026-01-02T15:04:05+24:00", "2026-01-02T15:04:05+0100", "2026-1-02T15:04:05Z", "2026-01-02T15:04:05Zx", "2026-01-02T+5:04:05Z",
			},
		},
		{"date", []string{"2026-01-02", "2024-02-29", "0000-01-01"}, []string{"", "2026-1-2", "2025-02-29", "2026-13-01", "2026-01-00", "26-01-02", "2026-01-02Z", "+026-01-02"}},
		{"time", []string{"15:04:05Z", "00:00:00.5-00:30", "23:59:60z"}, []string{"", "15:04:05", "15:04Z", "24:00:00Z", "15:60:05Z", "15:04:61Z", "15:04:60Z", "5:04:05Z", "15:04:05+1:00", "15-04-05Z"}},
		{
			"email",
			[]string{"a@b", "first.last+tag@example.org", `"a b"@example.org`, `"a\"@"@example.org`, "x@[127.0.0.1]", "x@[IPv6:::1]", "!#$%&'*+-/=?^_`{|}~@a.b"},
			[]string{"", "a", "@b", "a@", "a@b@c", ".a@b", "a.@b", "a..b@c", "a b@c", "ä@b.c", "a@-b", "a@b.", `""@b`, `"a"b"@c`, `"a\"@c`, "x@[1.2.3]", "x@[::1]", "x@[IPv6:::1", long + "a@b"},
		},
		{
			"hostname",
			[]string{"a", "example.org", "xn--bcher-kva.example", "1.2.3.4", "A-1", long[1:] + ".a"},
			[]string{"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "ä", long, strings.Repeat("a.", 127) + "a", "a b", "a\n"},
		},
		{"ipv4", []string{"0.0.0.0", "255.255.255.255"}, []string{"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "::1", "1.2.3.-4", "1.2.3.+4", "::ffff:1.2.3.4"}},
		{"ipv6", []string{"::", "::1", "2001:DB8::8a2e:370:7334", "::ffff:1.2.3.4"}, []string{"", ":", "1.2.3.4", "::1%eth0", "::1%", "[::1]", "1::2::3", "12345::", "1:2:3:4:5:6:7"}},
		{
			"uri",
			[]string{
				"http://example.org", "https://u:p@example.org:8080/a/b;c?d=e&f#g", "mailto:a@b.c", "urn:isbn:0", "a:", "file:///etc/x", "http://[::1]:80/", "http://[v1.a:b]/",
				"http://x/%2F", "tel:+1-816-555-1212", "ldap://[2001:db8::7]/c=GB?objectClass?one", "x://:/",
			},
			[]string{
				"", "example.org", "/a", "//a/b", "1a:b", ":a", "http://a b", "http://a/%2", "http://a/%zz", "http://[::1", "http://[1.2.3.4]", "http://a:b/", "http://a/#b#c",
				"http://ä/", "http://a/\\", "http://a/<b>", "http://a@b@c/", "http://[::1]x", "http://[v.a]", "x:\n", "x:^",
			},
		},
		{
			"uuid",
			[]string{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "00000000-0000-0000-0000-000000000000"},
			[]string{"", "f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf", "g81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6 ", "{81d4fae-7dec-11d0-a765-00a0c91e6bf}", "f81d4fae-7dec-11d0-a765000a0c91e6bf6"},
		},
	} {
		m, err := typemodel.Of(tagged(stringType, `format:"`+tc.format+`"`), typemodel.Input)
		if err != nil {
			t.Fatal(err)
		}
		judge := func(text string, want bool) {
			t.Helper()
			raw, _ := json.Marshal(map[string]string{"F": text})
			faults, err := m.Decode(t.Context(), raw, reflect.New(tagged(stringType, `format:"`+tc.format+`"`)).Interface())
			if (faults == nil) != want || err != nil {
				t.Errorf("%s: %q: faults %v, error %v", tc.format, text, faults, err)
			}
		}
		for _, text := range tc.good {
			judge(text, true)
		}
		for _, text := range tc.bad {
			judge(text, false)
		}
	}
}
