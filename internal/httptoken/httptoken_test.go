package httptoken

import "testing"

func TestIs(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "Sec-WebSocket-Key": true, "!#$%&'*+-.^_`|~09azAZ": true,
		"": false, "a b": false, "a:b": false, "a,b": false, "ż": false, "a\x00": false, "a\x7f": false, "(a)": false, `"a"`: false,
	} {
		if Is(s) != want {
			t.Errorf("Is(%q) is not %v", s, want)
		}
	}
}
