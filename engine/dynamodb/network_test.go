package dynamodb_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// network is the way to a server, which can be cut, and on which answers may be lost
// or come in place of the server's.
type network struct {
	to *http.Transport

	mu     sync.Mutex
	answer answer         // guarded by mu
	calls  map[string]int // guarded by mu; by operation
	down   chan struct{}  // guarded by mu; closed while the network is cut
	missed chan struct{}  // guarded by mu; has one when somebody has found out that it is
}

// answer is what answers a call to an operation: call is what the server answers.
type answer func(operation string, body []byte, call func() (*http.Response, error)) (*http.Response, error)

func newNetwork(tb testing.TB) *network {
	n := &network{to: &http.Transport{MaxIdleConnsPerHost: 64}, calls: make(map[string]int), down: make(chan struct{})}
	tb.Cleanup(n.to.CloseIdleConnections)
	return n
}

var (
	errLost = errors.New("the answer is lost")
	errCut  = errors.New("the network is cut")
)

// RoundTrip implements [http.RoundTripper]. It reads the whole answer, so that a cut
// is found out there.
func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.calls[operation]++
	answer, down, missed := n.answer, n.down, n.missed
	n.mu.Unlock()
	call := func() (*http.Response, error) {
		ctx, cancel := context.WithCancelCause(req.Context())
		defer cancel(nil)
		over := make(chan struct{})
		defer close(over)
		go func() {
			select {
			case <-down:
				cancel(errCut)
			case <-over:
			}
		}()
		res, err := n.roundTrip(req.Clone(ctx), body)
		if context.Cause(ctx) == errCut {
			select {
			case missed <- struct{}{}:
			default:
			}
			return nil, errCut
		}
		return res, err
	}
	if answer != nil {
		return answer(operation, body, call)
	}
	return call()
}

func (n *network) roundTrip(req *http.Request, body []byte) (*http.Response, error) {
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	default:
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	res, err := n.to.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(got))
	return res, nil
}

// cut breaks all calls and lets none be made. Heal first waits a moment until
// somebody has found out: a cut that nobody meets is none.
func (n *network) cut() (heal func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	missed := make(chan struct{}, 1)
	n.missed = missed
	close(n.down)
	n.to.CloseIdleConnections()
	return sync.OnceFunc(func() {
		select {
		case <-missed:
		case <-time.After(500 * time.Millisecond):
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.down = make(chan struct{})
	})
}

// answers lets what is sent be answered so, and nil by the server.
func (n *network) answers(answer answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

// loses loses the answer to the next call of an operation, after the server has carried
// it out.
func (n *network) loses(operation string) {
	var lost atomic.Bool
	n.answers(func(op string, _ []byte, call func() (*http.Response, error)) (*http.Response, error) {
		res, err := call()
		if err != nil || op != operation || lost.Swap(true) {
			return res, err
		}
		res.Body.Close()
		return nil, errLost
	})
}

// losesOf loses the answer to the next call with a partition key, after the server has
// carried it out; first it calls then.
func (n *network) losesOf(part string, then func()) {
	key := []byte(base64.StdEncoding.EncodeToString([]byte(part)))
	var lost atomic.Bool
	n.answers(func(_ string, body []byte, call func() (*http.Response, error)) (*http.Response, error) {
		res, err := call()
		if err != nil || !bytes.Contains(body, key) || lost.Swap(true) {
			return res, err
		}
		res.Body.Close()
		then()
		return nil, errLost
	})
}

// count returns how often an operation was called.
func (n *network) count(operation string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[operation]
}

// refusal is an answer of DynamoDB that refuses a call.
func refusal(status int, kind string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.dynamodb.v20120810#` + kind + `","message":"refused"}`)),
	}
}
