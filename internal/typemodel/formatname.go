package typemodel

import "strings"

// isHostname takes labels of letters, digits and inner hyphens, at most 63 bytes
// each and 253 together. The dot of the root is no part of it.
func isHostname(s string) bool {
	const longest, longestLabel = 253, 63
	if len(s) > longest {
		return false
	}
	label := 0 // where it begins
	for i := range len(s) {
		switch c := s[i]; {
		case isAlpha(c), isDigit(c), c == '-' && i > label:
		case c == '.' && isLabelEnd(s, label, i):
			label = i + 1
		default:
			return false
		}
		if i-label >= longestLabel {
			return false
		}
	}
	return isLabelEnd(s, label, len(s))
}

// isLabelEnd reports whether the label that begins at start may end before i.
func isLabelEnd(s string, start, i int) bool { return i > start && s[i-1] != '-' }

// isEmail takes a mailbox as it stands in a message's envelope: a local part of
// words and dots, or in quotes, and a host name or an address in brackets.
func isEmail(s string) bool {
	const longest, longestLocal = 254, 64
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > longestLocal || len(s) > longest {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		v6, is6 := strings.CutPrefix(literal, "IPv6:")
		if !ok || is6 && !isIPv6(v6) || !is6 && !isIPv4(literal) {
			return false
		}
	} else if !isHostname(domain) {
		return false
	}
	if local[0] == '"' {
		return isQuotedLocal(local)
	}
	word := 0 // where it begins
	for i := range len(local) {
		switch c := local[i]; {
		case isAlpha(c), isDigit(c):
		case c == '.' && i > word:
			word = i + 1
		case strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0:
			return false
		}
	}
	return word < len(local)
}

// isQuotedLocal takes printable ASCII in quotes, where a backslash escapes the
// byte behind it.
func isQuotedLocal(s string) bool {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i == len(s)-1 && i > 1
		case c < ' ' || c > '~':
			return false
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return false
			}
		}
	}
	return false
}
