package typemodel

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the formats say, by the grammars of their RFCs rather than by our code.
var (
	uuidForm   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	dateForm   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	timeForm   = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	hostForm   = regexp.MustCompile(`^` + hostLabel + `(\.` + hostLabel + `)*$`)
	localForm  = regexp.MustCompile(`^("([ !#-\[\]-~]|\\[ -~])+"|[^\s"()]+)$`)
	ipv4Form   = regexp.MustCompile(`^` + ipv4Text + `$`)
	ipv6Form   = regexp.MustCompile(`^` + ipv6Text + `$`)
	uriForm    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(` + uriNetwork + `|/(` + uriSegment + `+` + uriSegments + `)?|` + uriSegment + `+` + uriSegments + `)?` + uriRest + `$`)
	uriRefForm = regexp.MustCompile(`^(` + uriNetwork + `|/(` + uriSegment + `+` + uriSegments + `)?|` + uriNoColon + `+` + uriSegments + `)?` + uriRest + `$`)
)

const (
	hostLabel = `[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
	ipv4Text  = octet + `(\.` + octet + `){3}`
	octet     = `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`

	// RFC 3986, appendix A
	h16      = `[0-9A-Fa-f]{1,4}`
	ls32     = `(` + h16 + `:` + h16 + `|` + ipv4Text + `)`
	ipv6Text = `((` + h16 + `:){6}` + ls32 +
		`|::(` + h16 + `:){5}` + ls32 +
		`|(` + h16 + `)?::(` + h16 + `:){4}` + ls32 +
		`|((` + h16 + `:){0,1}` + h16 + `)?::(` + h16 + `:){3}` + ls32 +
		`|((` + h16 + `:){0,2}` + h16 + `)?::(` + h16 + `:){2}` + ls32 +
		`|((` + h16 + `:){0,3}` + h16 + `)?::` + h16 + `:` + ls32 +
		`|((` + h16 + `:){0,4}` + h16 + `)?::` + ls32 +
		`|((` + h16 + `:){0,5}` + h16 + `)?::` + h16 +
		`|((` + h16 + `:){0,6}` + h16 + `)?::)`
	uriChar     = `[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}`
	uriSegment  = `(` + uriChar + `|[:@])`
	uriNoColon  = `(` + uriChar + `|@)` // at most the first segment: what follows has any
	uriSegments = `(/` + uriSegment + `*)*`
	uriFuture   = `[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+`
	uriNetwork  = `//((` + uriChar + `|:)*@)?(\[(` + ipv6Text + `|` + uriFuture + `)\]|(` + uriChar + `)*)(:[0-9]*)?` + uriSegments
	uriRest     = `(\?(` + uriSegment + `|[/?])*)?(#(` + uriSegment + `|[/?])*)?`
)

// formatOracles say what each format takes. Where ours differs on purpose from
// the library named, it says how.
var formatOracles = map[string]func(string) bool{
	"uuid": uuidForm.MatchString,
	"date": isDateByForm,
	"time": func(s string) bool { return isTimeByForm("2000-01-01", s) },
	// package time has neither leap seconds nor small t and z, and takes a comma,
	// an hour of one digit and an offset of 24 hours
	"date-time": func(s string) bool {
		const date = len(time.DateOnly)
		return len(s) > date && (s[date] == 'T' || s[date] == 't') && isDateByForm(s[:date]) && isTimeByForm(s[:date], s[date+1:])
	},
	"hostname": isHostByForm,
	"ipv4":     ipv4Form.MatchString,
	// package netip takes zones too
	"ipv6":  ipv6Form.MatchString,
	"email": isMailByForm,
	// package url takes much that RFC 3986 wants escaped
	"uri": uriForm.MatchString,
}

func isDateByForm(s string) bool {
	if !dateForm.MatchString(s) {
		return false
	}
	n := func(digits string) (v int) {
		for _, c := range digits {
			v = 10*v + int(c-'0')
		}
		return v
	}
	// Package time turns February 30 into March.
	return time.Date(n(s[:4]), time.Month(n(s[5:7])), n(s[8:]), 0, 0, 0, 0, time.UTC).Format(time.DateOnly) == s
}

// isTimeByForm judges s, a time of day; date is valid.
func isTimeByForm(date, s string) bool {
	if !timeForm.MatchString(s) {
		return false
	}
	leap := s[6:8] == "60"
	if leap {
		s = s[:6] + "59" + s[8:]
	}
	at, err := time.Parse(time.RFC3339, date+"T"+strings.ToUpper(s))
	utc := at.UTC()
	return err == nil && (!leap || utc.Hour() == 23 && utc.Minute() == 59)
}

func isHostByForm(s string) bool { return len(s) <= 253 && hostForm.MatchString(s) }

// isMailByForm lets package net/mail judge what is before the @. Ours differs
// from it on purpose: no comments, no white space but spaces in quotes, no
// bytes that are not ASCII, nothing empty in quotes; the lengths of RFC 5321
// hold; and what is behind the @ is a host name or an IP address.
func isMailByForm(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || at > 64 || len(s) > 254 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	for _, c := range []byte(local) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	if _, err := mail.ParseAddress("<" + local + "@example.org>"); err != nil || !localForm.MatchString(local) {
		return false
	}
	if inner, ok := strings.CutPrefix(domain, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if v6, is6 := strings.CutPrefix(inner, "IPv6:"); is6 {
			return ok && ipv6Form.MatchString(v6)
		}
		return ok && ipv4Form.MatchString(inner)
	}
	return isHostByForm(domain)
}

// isURLByForm says what a url.URL takes: by RFC 3986, and by package url, which
// wants ports, escapes and hosts that make sense to it.
func isURLByForm(s string) bool {
	_, err := url.Parse(s)
	return err == nil && (uriForm.MatchString(s) || uriRefForm.MatchString(s))
}

// FuzzFormat proves that each format takes what its grammar says, and that it
// takes nothing that the library for it refuses.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{
		"", "2024-02-29", "2025-02-29", "2026-01-02T15:04:05Z", "2026-01-02t15:04:05.123456789012z", "2016-12-31T15:59:60-08:00", "2016-12-31T23:58:60Z", "23:59:60z", "15:04:05.5+23:59",
		"a@b", "first.last+tag@example.org", `"a b"@example.org`, `"a\"@"@example.org`, "x@[127.0.0.1]", "x@[IPv6:::1]", "a..b@c", "a.@b", "@b", `""@b`, "a(b)@c", "a@b@c",
		"example.org", "a-.b", "-a", "1.2.3.4", "01.2.3.4", "256.1.1.1", "::", "::1%eth0", "1:2:3:4:5:6:7::", "1::2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4",
		"http://u:p@example.org:8080/a/b;c?d=e&f#g", "urn:isbn:0", "a:", "a://", "http://[v1.a:b]/", "http://[::1]:80/", "x:%2F", "x:%2", "a:b/c", "./a:b", "//h/p", "/a//b", "?q#f", "a#b#c",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", strings.Repeat("a", 63) + "." + strings.Repeat("b", 64), strings.Repeat("a.", 127),
		strings.Repeat("a", 64) + "@b", strings.Repeat("a", 65) + "@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(formatOracles) != len(formats) {
			t.Fatal("a format has no oracle")
		}
		for name, c := range formats {
			if got, want := c.is(s), formatOracles[name](s); got != want {
				t.Errorf("%s: %q: %t, want %t", name, s, got, want)
			}
		}
		if got, want := isURLText(s), isURLByForm(s); got != want {
			t.Errorf("url.URL: %q: %t, want %t", s, got, want)
		}
		addr, err := netip.ParseAddr(s)
		if got := isIPv4(s) || isIPv6(s); got != (err == nil && addr.Zone() == "") {
			t.Errorf("%q is an IP address: %t, package netip: %v, %v", s, got, addr, err)
		}
		if _, err := mail.ParseAddress("<" + s + ">"); isEmail(s) && err != nil && !strings.HasSuffix(s, "]") {
			t.Errorf("%q is an email address; package mail: %v", s, err)
		}
		if _, err := url.Parse(s); isURI(s) && err != nil && !urlIsStricter(s) {
			t.Errorf("%q is a URI; package url: %v", s, err)
		}
	})
}

// urlIsStricter reports whether s may have what RFC 3986 allows and package url
// does not: escapes of ASCII in the host, and hosts such as [v1.x].
func urlIsStricter(s string) bool {
	_, authority, _ := strings.Cut(s, "//")
	return strings.Contains(authority, "%") || strings.Contains(strings.ToLower(authority), "[v")
}
