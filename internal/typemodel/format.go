package typemodel

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// format is a form of strings that JSON Schema has a name for.
type format struct {
	is   func(text string) bool
	noun string // what it is, for the client
}

// formats are all that are supported, with where they are defined.
var formats = map[string]format{
	"date-time": {isDateTime, "a time as in RFC 3339, such as 2006-01-02T15:04:05Z"}, // RFC 3339, date-time
	"date":      {isDate, "a date such as 2006-01-02"},                               // RFC 3339, full-date
	"time":      {isFullTime, "a time of day with its offset, such as 15:04:05Z"},    // RFC 3339, full-time
	"email":     {isEmail, "an email address"},                                       // RFC 5321, Mailbox
	"hostname":  {isHostname, "a host name"},                                         // RFC 1123, section 2.1
	"ipv4":      {isIPv4, "an IPv4 address"},                                         // RFC 2673, section 3.2
	"ipv6":      {isIPv6, "an IPv6 address"},                                         // RFC 4291, section 2.2
	"uri":       {isURI, "an absolute URI"},                                          // RFC 3986, URI
	"uuid":      {isUUID, "a UUID"},                                                  // RFC 9562, section 4
}

func compileFormat(n *node, tags map[string]string) error {
	name := tags["format"]
	f, ok := formats[name]
	if !ok {
		return fmt.Errorf("format:%q is unknown; there are %s", name, strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
	}
	n.say("format", quoteJSON(name))
	n.checks.text = append(n.checks.text, f)
	return nil
}

func (c format) fault(text []byte) string {
	if c.is(string(text)) {
		return ""
	}
	return "must be " + c.noun
}

func isUUID(s string) bool {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if form[i] == '-' && s[i] != '-' || form[i] == 'x' && !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isIPv4 takes four decimal numbers, without zeros in front.
func isIPv4(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

// isIPv6 takes an address without a zone; it may end in an IPv4 address.
func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == "" && !strings.Contains(s, "%")
}

func isDigit(c byte) bool { return c-'0' <= 9 }
func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
