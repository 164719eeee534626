package kanava_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/kanava-go/kanava"
)

// peer is the least that a transport is.
type peer struct{ woken chan struct{} }

func newPeer() *peer { return &peer{make(chan struct{}, 1)} }

func (p *peer) Wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func request(target string) *kanava.OpenRequest {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	return &kanava.OpenRequest{URL: u, Host: "kanava.test", Header: http.Header{}}
}

func open(t *testing.T, d kanava.Dispatcher, target string, p kanava.Peer) *kanava.Link {
	t.Helper()
	link, err := d.Open(context.Background(), request(target), p)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return link
}
