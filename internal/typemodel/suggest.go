package typemodel

import "strings"

// nearest returns the member whose name is most like name, or "" if none is
// near.
func nearest(name string, fields []field) string {
	const longest = 32
	if len(name) > longest {
		return ""
	}
	folded := strings.ToLower(name)
	best, bestDistance := "", (len(name)+2)/4
	for i := range fields {
		other := fields[i].name
		if len(other) > longest {
			continue
		}
		if d := distance(folded, strings.ToLower(other)); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = other, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or change, or of neighbours
// to swap, that turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
