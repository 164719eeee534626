package transporttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// peer is a Client with what tests say all the time. Its methods end the test
// when they fail, so they are for the goroutine of the test; those that return
// an error are for any.
type peer struct {
	Client
	t     *testing.T
	name  string
	ended bool // closed, or gone: there is nothing to expect any more
}

// dial connects a client, which is cut when the test ends.
func dial(t *testing.T, d Dial, path string) *peer {
	t.Helper()
	p, err := dialRequest(t, d, Request{Path: path})
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	return p
}

func dialRequest(t *testing.T, d Dial, r Request) (*peer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	c, err := d(ctx, r)
	if err != nil {
		return nil, err
	}
	t.Cleanup(c.Cut)
	return &peer{Client: c, t: t, name: r.Path}, nil
}

func (p *peer) trySend(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return p.Send(ctx, []byte(text), false)
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.trySend(text); err != nil {
		p.t.Fatalf("%s: send: %v", p.name, err)
	}
}

func (p *peer) tryNext() (Frame, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return p.Receive(ctx)
}

func (p *peer) next() Frame {
	p.t.Helper()
	f, err := p.tryNext()
	if err != nil {
		p.t.Fatalf("%s: receive: %v", p.name, err)
	}
	p.ended = f.Kind == KindClosed
	return f
}

// tryExpect is expect for any goroutine.
func (p *peer) tryExpect(text string) error {
	f, err := p.tryNext()
	switch {
	case err != nil:
		return err
	case f.Kind != KindText || string(f.Data) != text:
		return fmt.Errorf("got %v\nwant text %s", f, text)
	}
	return nil
}

// expect demands a text message, byte for byte.
func (p *peer) expect(text string) {
	p.t.Helper()
	if err := p.tryExpect(text); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// expectClose demands that the server closes the connection, and returns the
// reason.
func (p *peer) expectClose(code int) string {
	p.t.Helper()
	f := p.next()
	if f.Kind != KindClosed || f.Code != code {
		p.t.Fatalf("%s: got %v\nwant closed %d", p.name, f, code)
	}
	return f.Reason
}

// probe is what expectNone sends: an action that every channel of the
// application has.
const (
	probe       = `{"action":"ping"}`
	probeAnswer = `{"action":"ping"}`
)

// expectNone demands that nothing comes before the answer to a probe.
func (p *peer) expectNone() {
	p.t.Helper()
	p.send(probe)
	p.expect(probeAnswer)
}

// dialRefused demands that the client is turned away.
func dialRefused(t *testing.T, d Dial, r Request, status int, code string) {
	t.Helper()
	_, err := dialRequest(t, d, r)
	var ref *RefusedError
	if !errors.As(err, &ref) || ref.Status != status || !strings.Contains(string(ref.Body), `"code":"`+code+`"`) {
		t.Fatalf("dial %s: got %v\nwant a refusal: %d %s", r.Path, err, status, code)
	}
}
