package kanava

import (
	"net/http"
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

// Whatever routes there are, a path leads where http.ServeMux says.
func TestRoutesAreThoseOfServeMux(t *testing.T) {
	parts := []string{"a", "b", "%61", "a%2Fb", "{x}", "..", "", "é"}
	path := func(t *rapid.T, name string, parts []string) (p string) {
		for _, part := range rapid.SliceOfN(rapid.SampledFrom(parts), 1, 3).Draw(t, name) {
			p += "/" + part
		}
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		srv := NewServer(Options[None]{})
		wired := 0
		for i := range rapid.IntRange(1, 6).Draw(t, "routes") {
			route := rapid.SampledFrom([]string{"", "", "", "h"}).Draw(t, "host") + path(t, "route", parts)
			func() {
				defer func() { _ = recover() }() // it is wrong, or there is one like it
				srv.Wire(Wiring[None, None]{Name: string(rune('a' + i)), Route: route, Public: true})
				wired++
			}()
		}
		for range 10 {
			u, err := url.Parse("http://h" + path(t, "path", []string{"a", "b", "%61", "a%2Fb", "é", "%C3%A9", "..", ""}))
			if err != nil {
				t.Fatal(err)
			}
			req := &OpenRequest{URL: u, Host: rapid.SampledFrom([]string{"h", "other"}).Draw(t, "asked host")}
			got, want := srv.c.match(req).def, matchIn(srv.c.mux, http.MethodGet, req).def
			if got != want {
				t.Fatalf("%s at %s leads to %v, want %v, of %d routes", u, req.Host, got, want, wired)
			}
		}
	})
}
