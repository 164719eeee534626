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

// openIn opens a connection in a form, and leaves nothing in its outbox.
func openIn(tb testing.TB, srv *server, form, target string, p *peer) *kanava.Link {
	req := request(target)
	if form != plainForm {
		req.Subprotocols = []string{form}
	}
	link, err := srv.Open(context.Background(), req, p)
	if err != nil {
		tb.Fatal(err)
	}
	link.Start()
	tb.Cleanup(func() { link.Disconnect(kanava.CloseNormal, ""); <-link.Done() })
	if form == envelope {
		link.Receive([]byte(`{"hello":{}}`), false)
		for frames := []kanava.Frame(nil); len(frames) < 2; { // open, and the end of OnConnect
			<-p.woken
			for n := -1; n < len(frames); {
				n = len(frames)
				frames, _ = link.Take(frames, 1<<16)
			}
		}
	}
	return link
}
