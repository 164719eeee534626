package kanava

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// wakePeer calls its function at each Wake: on the goroutine that queues, with
// the locks that it holds.
type wakePeer struct{ wake func() }

func (p *wakePeer) Wake() { p.wake() }

// While the frame of a subscription's begin or end is queued nobody else can
// subscribe or unsubscribe the connection, and no event can be published before
// the first.
func TestD3_SubAndUnsubAreQueuedUnderTheirLocks(t *testing.T) {
	srv := NewServer(Options[None]{})
	srv.Wire(Wiring[None, None]{Name: "a", Route: "/a", Public: true})
	peer := &wakePeer{func() {}}
	link, err := srv.Open(context.Background(), &OpenRequest{
		URL: &url.URL{Path: "/a"}, Header: http.Header{}, Subprotocols: []string{"kanava.v1"},
	}, peer)
	if err != nil {
		t.Fatal(err)
	}
	c, hub := &link.c, srv.EventHub()
	c.out.release(nil, true) // as after the hello
	var state *topicState
	woken := 0
	peer.wake = func() {
		woken++
		if c.subMu.TryLock() {
			c.subMu.Unlock()
			t.Error("another subscription could come between")
		}
		if state = hub.shard("t").topics["t"]; woken == 1 && state.mu.TryLock() {
			state.mu.Unlock()
			t.Error("an event could come before the sub")
		}
	}
	for i, step := range []struct {
		do   func(context.Context, string, string) error
		want string
	}{{hub.Subscribe, `{"sub":"t",`}, {hub.Unsubscribe, `{"unsub":"t",`}} {
		if err := step.do(t.Context(), "t", c.id.String()); err != nil {
			t.Fatal(err)
		}
		frames, _ := link.Take(nil, 1000)
		if len(frames) != 1 || !strings.HasPrefix(string(frames[0].Data), step.want) || woken != i+1 {
			t.Errorf("%d frames after %d wakes: %v, want %s", len(frames), woken, frames, step.want)
		}
		link.Take(nil, 1000)
	}
	peer.wake = func() {}
	link.Disconnect(CloseNormal, "")
	<-link.Done()
}
