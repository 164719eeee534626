package manifest_test

import "testing"

// TestHashOfWhatIsKept proves that the data of members counts, and that values,
// which stay on the server, do not.
func TestHashOfWhatIsKept(t *testing.T) {
	hash := func(more string) string {
		t.Helper()
		m := read(t, `{"kanava":1,"level":1,"$defs":{"M":{"type":"object","properties":{"name":{"type":"string"}}}},"channels":[{"name":"c","route":"/c"`+more+`}]}`)
		if err := m.SetHash(); err != nil {
			t.Fatal(err)
		}
		return m.Hash
	}
	bare, room := hash(``), hash(`,"presences":[{"name":"room","member":{"$ref":"#/$defs/M"}}]`)
	for _, tc := range []struct {
		why, more, want string
		same            bool
	}{
		{"a value", `,"values":[{"name":"v","type":{"type":"string"}}]`, bare, true},
		{"a value with types of its own", `,"values":[{"name":"v","type":{"$ref":"#/$defs/V","$defs":{"V":{"type":"object"}}}}]`, bare, true},
		{"a presence", `,"presences":[{"name":"room","member":{"$ref":"#/$defs/M"}}]`, bare, false},
		{"another name", `,"presences":[{"name":"hall","member":{"$ref":"#/$defs/M"}}]`, room, false},
		{"other data", `,"presences":[{"name":"room","member":{"type":"string"}}]`, room, false},
		{"documentation of a member", `,"presences":[{"name":"room","member":{"$ref":"#/$defs/M","description":"who"}}]`, room, true},
	} {
		if got := hash(tc.more); (got == tc.want) != tc.same {
			t.Errorf("%s: hash %s and %s, want same %v", tc.why, tc.want, got, tc.same)
		}
	}
}
