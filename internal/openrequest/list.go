package openrequest

import "strings"

// List yields the elements of a list that may span several header fields (RFC
// 9110 section 5.6.1).
func List(fields []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range fields {
			for t := range strings.SplitSeq(f, ",") {
				if t = strings.Trim(t, " \t"); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}

// ListHas reports whether want is an element of such a list, in whatever case.
func ListHas(fields []string, want string) bool {
	for t := range List(fields) {
		if strings.EqualFold(t, want) {
			return true
		}
	}
	return false
}
