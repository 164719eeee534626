package kanava

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

type noPeer struct{}

func (noPeer) Wake() {}

// What is kept of addresses is bounded by the connections that exist, and is
// what a count of these gives.
func TestAddressesAgainstACount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const all, own = 3, 2
		srv := NewServer(Options[None]{Limits: Limits{AddressConns: all}})
		srv.Wire(Wiring[None, None]{Name: "a", Route: "/a"}, Wiring[None, None]{Name: "b", Route: "/b", Limits: Limits{AddressConns: own}})
		type client struct {
			link           *Link
			remote, target string
		}
		var live []client
		count := func(remote, target string) (n int) {
			for _, c := range live {
				if c.remote == remote && (target == "" || c.target == target) {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				remote := rapid.SampledFrom([]string{"192.0.2.1:1", "[2001:db8::1]:1", "?"}).Draw(t, "remote")
				target := rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "target")
				want := count(remote, "") < all && (target == "/a" || count(remote, "/b") < own)
				link, err := srv.Open(context.Background(), &OpenRequest{URL: &url.URL{Path: target}, Header: http.Header{}, RemoteAddr: remote}, noPeer{})
				if (err == nil) != want {
					t.Fatalf("%s at %s: %v, want it open: %t", target, remote, err, want)
				}
				if err == nil {
					live = append(live, client{link, remote, target})
				}
			},
			"leave": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("nobody is there")
				}
				i := rapid.IntRange(0, len(live)-1).Draw(t, "who")
				live[i].link.Disconnect(CloseNormal, "")
				<-live[i].link.Done()
				live = append(live[:i], live[i+1:]...)
			},
			"": func(t *rapid.T) {
				if n := len(srv.c.addresses); n > 2*len(live) {
					t.Fatalf("%d counts for %d connections", n, len(live))
				}
			},
		})
		for _, c := range live {
			c.link.Disconnect(CloseNormal, "")
			<-c.link.Done()
		}
		if n := len(srv.c.addresses); n != 0 {
			t.Fatalf("%d counts without a connection", n)
		}
	})
}
