package kanava

import (
	"context"
	"net/http"
	"net/url"
	"testing"
)

// A cancel that comes when a call was taken from the queue and has not begun is
// not lost: the function does not run, and the call has its last frame.
func TestP13_ACancelFindsACallThatIsAboutToBegin(t *testing.T) {
	ran := false
	srv := NewServer(Options[None]{})
	srv.Wire(Wiring[None, None]{Name: "a", Route: "/a", Public: true, Messages: By("action",
		OnStream("run", func(context.Context, *Channel[None, None], None, *Stream[int]) error { ran = true; return nil }))})
	link, err := srv.Open(context.Background(), &OpenRequest{
		URL: &url.URL{Path: "/a"}, Header: http.Header{}, Subprotocols: []string{"kanava.v1"},
	}, noPeer{})
	if err != nil {
		t.Fatal(err)
	}
	link.Start()
	c := &link.c
	c.v1.hear()
	c.mu.Lock()
	c.phase, c.working = phaseOpen, true // this goroutine does the work
	c.mu.Unlock()
	c.v1.greeted.set()
	c.out.release(nil, true)

	link.Receive([]byte(`{"do":"run","id":1}`), false)
	m, ok := c.nextMessage()
	if !ok {
		t.Fatal("no call waits")
	}
	link.Receive([]byte(`{"cancel":1}`), false)
	c.handle(m, nil)
	link.Receive([]byte(`{"do":"run","id":2}`), false)
	if m, _ = c.nextMessage(); m.id != 2 || c.v1.canceled {
		t.Error("the next call is canceled, too")
	}
	c.mu.Lock()
	c.working = false
	c.mu.Unlock()
	link.Disconnect(CloseNormal, "")
	<-link.Done() // the stream has ended
	if ran {
		t.Error("the call has run")
	}
}
