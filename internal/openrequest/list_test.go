package openrequest

import (
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	for _, tt := range []struct {
		proves string
		fields []string
		want   []string
	}{
		{"no field", nil, nil},
		{"elements of one field", []string{"a, b,c"}, []string{"a", "b", "c"}},
		{"elements of several fields", []string{"a", "b, c"}, []string{"a", "b", "c"}},
		{"empty elements are none", []string{" ,a,,\t, "}, []string{"a"}},
	} {
		if got := slices.Collect(List(tt.fields)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.proves, got, tt.want)
		}
	}
	if fields := []string{"keep-alive, Upgrade"}; !ListHas(fields, "upgrade") || ListHas(fields, "keep") {
		t.Error("ListHas")
	}
}
