// Package httptoken tells the tokens of HTTP (RFC 9110 section 5.6.2), of which the
// names of fields and subprotocols are made.
package httptoken

import "strings"

// Is reports whether s is a token.
func Is(s string) bool {
	for i := range len(s) {
		if !IsByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// IsByte reports whether c can stand in a token.
func IsByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
