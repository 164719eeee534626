package typemodel

import "strings"

// The bytes that stand for themselves in the parts of a URI, letters and digits
// aside.
const (
	uriUnreserved = "-._~"
	uriSubDelims  = "!$&'()*+,;="
	uriPath       = uriUnreserved + uriSubDelims + ":@/"
)

// isURI takes a URI with its scheme. A reference relative to another is none.
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || !isAlpha(scheme[0]) || !uriChars(scheme, "+-.", false) {
		return false
	}
	return isRelative(rest)
}

// isURIReference takes a URI, or a reference relative to one. In the latter no
// colon may stand in the first segment of the path: what is before it would be
// the scheme.
func isURIReference(s string) bool {
	first := s
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		first = s[:i]
	}
	if strings.Contains(first, ":") {
		return isURI(s)
	}
	return isRelative(s)
}

// isRelative takes what follows the scheme.
func isRelative(s string) bool {
	rest, fragment, _ := strings.Cut(s, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if !uriChars(fragment, uriPath+"?", true) || !uriChars(query, uriPath+"?", true) {
		return false
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		authority, path := after, ""
		if i := strings.IndexByte(after, '/'); i >= 0 {
			authority, path = after[:i], after[i:]
		}
		return isAuthority(authority) && uriChars(path, uriPath, true)
	}
	return uriChars(rest, uriPath, true)
}

func isAuthority(s string) bool {
	if user, host, ok := strings.Cut(s, "@"); ok {
		if !uriChars(user, uriUnreserved+uriSubDelims+":", true) {
			return false
		}
		s = host
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		literal, port, ok := strings.Cut(inner, "]")
		return ok && isIPLiteral(literal) && (port == "" || port[0] == ':' && uriDigits(port[1:]))
	}
	host, port, _ := strings.Cut(s, ":")
	return uriChars(host, uriUnreserved+uriSubDelims, true) && uriDigits(port)
}

// isIPLiteral takes what stands in brackets: an IPv6 address, or v1.x for what
// comes after.
func isIPLiteral(s string) bool {
	if s == "" || s[0]|0x20 != 'v' {
		return isIPv6(s)
	}
	version, address, ok := strings.Cut(s[1:], ".")
	for i := range len(version) {
		ok = ok && isHex(version[i])
	}
	return ok && version != "" && address != "" && uriChars(address, uriUnreserved+uriSubDelims+":", false)
}

func uriDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// uriChars reports whether s has only letters, digits, bytes of others and, if
// percent is true, bytes such as %2F.
func uriChars(s, others string, percent bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case isAlpha(c), isDigit(c), strings.IndexByte(others, c) >= 0:
		case percent && c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}
