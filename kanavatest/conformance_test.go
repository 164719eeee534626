package kanavatest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// TestConformance runs the suite of the transports on the client in memory.
func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("suite", func(t *testing.T) {
		transporttest.Run(t, transporttest.Transport{
			Serve: func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
				return func(_ context.Context, r transporttest.Request) (transporttest.Client, error) {
					return dialMemory(tb, d, r)
				}
			},
			Omit: map[string]string{
				"needs rfc6455": "messages are handed over as they are: there are no bytes of frames, and no header of subprotocols",
				"needs rfc7692": "there are no extensions either",
			},
		})
	})
}

// memoryClient is a Client that reads only in Receive, as a socket does.
type memoryClient struct{ c *Client }

func dialMemory(tb testing.TB, d kanava.Dispatcher, r transporttest.Request) (transporttest.Client, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, err
	}
	req := &kanava.OpenRequest{URL: u, Header: http.Header{}, Subprotocols: r.Subprotocols}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	if scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		req.Token = token
	}
	c, err := DialRequest(tb, d, req)
	var e *kanava.Error
	switch {
	case errors.As(err, &e):
		return nil, &transporttest.RefusedError{Status: e.HTTPStatus(), Body: body(e)}
	case err != nil:
		return nil, err
	}
	c.Stall()
	return &memoryClient{c: c}, nil
}

// body is what a transport on HTTP would answer.
func body(e *kanava.Error) []byte {
	var b struct {
		Error struct {
			Code    kanava.Code     `json:"code"`
			Message string          `json:"message"`
			Details []kanava.Detail `json:"details,omitempty"`
		} `json:"error"`
	}
	b.Error.Code, b.Error.Message, b.Error.Details = e.Code, e.Message, e.Details
	data, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return data
}

func (m *memoryClient) Subprotocol() string { return m.c.link.Subprotocol() }

// Send waits for room before it hands the message over, as a socket does whose
// buffers are full.
func (m *memoryClient) Send(ctx context.Context, data []byte, binary bool) error {
	for m.c.isFull() {
		select {
		case <-m.c.link.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	m.c.deliver(bytes.Clone(data), binary)
	return nil
}

func (m *memoryClient) Receive(ctx context.Context) (transporttest.Frame, error) {
	m.c.Resume()
	defer m.c.Stall()
	deadline, _ := ctx.Deadline()
	var f transporttest.Frame
	var err error
	came := func() bool {
		switch inbox, closing := m.c.inbox, m.c.closing; {
		case len(inbox) > 0:
			f.Data = inbox[0].Data
			if inbox[0].Binary {
				f.Kind = transporttest.KindBinary
			}
			m.c.inbox = inbox[1:]
		case closing != nil:
			f = transporttest.Frame{Kind: transporttest.KindClosed, Code: int(closing.Code), Reason: closing.Reason}
		case m.c.over:
			err = errors.New("the connection has ended")
		default:
			return false
		}
		return true
	}
	if !m.c.until(time.Until(deadline), came) {
		return f, context.DeadlineExceeded
	}
	return f, err
}

func (m *memoryClient) Close(code int, reason string) error {
	m.c.link.Disconnect(kanava.CloseCode(code), reason)
	return nil
}

func (m *memoryClient) Cut() { m.c.link.Disconnect(kanava.CloseAbnormal, "") }
