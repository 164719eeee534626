package dynamodb_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// network is the way to a server, on which answers may be lost or come in place of
// the server's.
type network struct {
	to http.RoundTripper

	mu     sync.Mutex
	answer func(operation string, body []byte, call func() (*http.Response, error)) (*http.Response, error) // guarded by mu
	calls  map[string]int                                                                                   // guarded by mu; by operation
}

func newNetwork(tb testing.TB) *network {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return &network{to: transport, calls: make(map[string]int)}
}

var errLost = errors.New("the answer is lost")

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	n.mu.Lock()
	n.calls[operation]++
	answer := n.answer
	n.mu.Unlock()
	call := func() (*http.Response, error) { return n.to.RoundTrip(req) }
	if answer != nil {
		return answer(operation, body, call)
	}
	return call()
}

// answers lets what is sent be answered so, and nil by the server.
func (n *network) answers(answer func(operation string, body []byte, call func() (*http.Response, error)) (*http.Response, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

// loses loses the answers to the next calls of an operation, after the server has
// carried them out; then it calls after.
func (n *network) loses(operation string, number int, after func()) {
	var mu sync.Mutex
	n.answers(func(op string, _ []byte, call func() (*http.Response, error)) (*http.Response, error) {
		res, err := call()
		mu.Lock()
		defer mu.Unlock()
		if op != operation || number == 0 || err != nil {
			return res, err
		}
		number--
		res.Body.Close()
		if number == 0 && after != nil {
			after()
		}
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
