package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava/internal/wsframe"
)

// wired is a server whose every step is the test's, as scripted is, but behind
// the links as they are: it is the network of an http.Client.
type wired struct {
	// on, if set, answers a request of a test's own choice, by returning
	// something. It is called with no lock held.
	on func(*http.Request) (*http.Response, error)

	mu    sync.Mutex
	made  []*wiredLink // guarded by mu: dialed, not taken by the test
	links []*wiredLink // guarded by mu: all
}

// wiredLink is one of its connections, the body that the client reads.
type wiredLink struct {
	events   bool
	secret   string
	request  context.Context
	answer   chan error // to the request
	accepted atomic.Bool
	in       chan []byte // on its way to the client
	rest     []byte      // of read
	away     bool        // the last frame said how the connection ends
	gone     chan struct{}
	once     sync.Once

	mu     sync.Mutex
	parser wsframe.Parser // guarded by mu, as all below: of what the client writes
	sent   []message      // by the client, not looked at by the test
	last   uint64         // number of the last POST
	closed bool           // by the client
	ended  bool           // by the server
	lines  int            // ends of lines so far
}

func (s *wired) client() *http.Client { return &http.Client{Transport: s} }

// settings makes a client's connections go here.
func (s *wired) settings(to *settings, by Transport) {
	const url = "http://kanava.test/"
	if by != ServerSentEvents {
		to.webSocket = webSocketDialer(url, http.Header{}, s.client(), 1<<20)
		to.probe = webSocketProbe(url, http.Header{}, s.client())
	}
	if by != WebSocket {
		to.events = eventDialer(url, http.Header{}, s.client(), 1<<20)
	}
}

// RoundTrip implements http.RoundTripper.
func (s *wired) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body.Close()
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	if s.on != nil {
		if res, err := s.on(req); res != nil || err != nil {
			return res, err
		}
	}
	if up := req.Header.Get("Kanava-Up"); up != "" {
		return s.post(up, req.Header.Get("Kanava-Seq"), body), nil
	}
	l := &wiredLink{
		events: req.Method == http.MethodPost, request: req.Context(), answer: make(chan error, 1),
		in: make(chan []byte, 4000), gone: make(chan struct{}), parser: wsframe.NewParser(wsframe.Server, 1<<20),
	}
	s.mu.Lock()
	s.made = append(s.made, l)
	s.links = append(s.links, l)
	l.secret = "n.secret" + strconv.Itoa(len(s.links))
	s.mu.Unlock()
	select {
	case <-req.Context().Done():
		l.leave()
		return nil, req.Context().Err()
	case err := <-l.answer:
		if err != nil {
			l.leave()
			return nil, err
		}
	}
	if !l.events {
		h := http.Header{}
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		h.Set("Sec-WebSocket-Accept", accept(req.Header.Get("Sec-WebSocket-Key")))
		h.Set("Sec-WebSocket-Protocol", req.Header.Get("Sec-WebSocket-Protocol"))
		return answer(http.StatusSwitchingProtocols, h, l), nil
	}
	if l.accepted.Load() {
		l.sent = append(l.sent, message{data: bytes.TrimSuffix(body, []byte("\n"))})
	}
	h := http.Header{}
	h.Set("Content-Type", "text/event-stream")
	h.Set("Kanava-Protocol", req.Header.Get("Kanava-Protocol"))
	return answer(http.StatusOK, h, l), nil
}

func answer(status int, h http.Header, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status), Header: h, Body: body}
}

// post takes what a client says by POST.
func (s *wired) post(up, seq string, body []byte) *http.Response {
	say := func(status int) *http.Response { return answer(status, http.Header{}, http.NoBody) }
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.secret != up || l.isClosed() {
			continue
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		switch seq {
		case strconv.FormatUint(l.last, 10):
			return say(http.StatusNoContent)
		case strconv.FormatUint(l.last+1, 10):
		default:
			return say(http.StatusConflict)
		}
		lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
		if len(lines) > 128 || len(body) > 64<<10+1 {
			return say(http.StatusRequestEntityTooLarge)
		}
		l.last++
		for _, line := range lines {
			m := message{data: line}
			if text, ok := bytes.CutPrefix(line, []byte(`{"bin":"`)); ok {
				m.data, _ = base64.StdEncoding.DecodeString(string(bytes.TrimSuffix(text, []byte(`"}`))))
				m.binary = true
			}
			l.sent = append(l.sent, m)
		}
		return say(http.StatusNoContent)
	}
	return say(http.StatusNotFound)
}

// take returns the next connection that the client has begun, nil if there is
// none.
func (s *wired) take() peer {
	if l := s.next(); l != nil {
		return l
	}
	return nil
}

func (s *wired) next() *wiredLink {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) == 0 {
		return nil
	}
	l := s.made[0]
	s.made = s.made[1:]
	return l
}

func (s *wired) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if !l.isClosed() {
			n++
		}
	}
	return n
}

// What the client does with the body.

func (l *wiredLink) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		var done <-chan struct{} // a WebSocket outlives the request of its handshake
		if l.events {
			done = l.request.Done()
		}
		select {
		case b, more := <-l.in:
			if !more {
				return 0, io.EOF
			}
			l.rest = b
		case <-l.gone:
			return 0, failure("closed")
		case <-done:
			l.leave()
			return 0, l.request.Err()
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// failure is an error of the network.
type failure string

func (e failure) Error() string { return string(e) }

func (l *wiredLink) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, errors.New("written to a closed connection")
	}
	for rest := bytes.Clone(p); len(rest) > 0; {
		m, more, err := l.parser.Next(rest)
		if err != nil {
			return 0, err
		}
		rest = more
		switch m.Op {
		case ws.OpText, ws.OpBinary:
			if !l.accepted.Load() {
				continue // refused: nobody reads its hello
			}
			l.sent = append(l.sent, message{bytes.Clone(m.Data), m.Op == ws.OpBinary})
		case ws.OpClose:
			l.closed = true
			if !l.ended {
				l.ended = true
				l.in <- wsframe.AppendServer(nil, ws.OpClose, m.Data)
				close(l.in)
			}
			return len(p), nil
		}
	}
	return len(p), nil
}

func (l *wiredLink) Close() error {
	l.leave()
	return nil
}

func (l *wiredLink) leave() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.once.Do(func() { close(l.gone) })
}

// What the test does with the connection.

func (l *wiredLink) accept() {
	l.accepted.Store(true)
	l.answer <- nil
}

func (l *wiredLink) text(text string) {
	if !l.events {
		l.push(wsframe.AppendServer(nil, ws.OpText, []byte(text)))
		return
	}
	var frame map[string]map[string]jsontext.Value // of the secret
	known := json.Unmarshal([]byte(text), &frame) == nil
	l.away = known && frame["away"] != nil
	if known && frame["open"] != nil {
		frame["open"]["up"] = jsontext.Value(quote(l.secret))
		b, _ := json.Marshal(frame)
		text = string(b)
	}
	l.mu.Lock()
	l.lines++
	end := []string{"\n", "\r\n", "\r"}[l.lines%3]
	l.mu.Unlock()
	event := ": a comment" + end + "data:" + strings.ReplaceAll(text, "\n", end+"data: ") + end + end
	for len(event) > 0 { // cut anywhere
		n := min(len(event), 1+len(event)/3)
		l.push([]byte(event[:n]))
		event = event[n:]
	}
}

func (l *wiredLink) bytes(p []byte) {
	if l.events {
		l.text(`{"bin":"` + base64.StdEncoding.EncodeToString(p) + `"}`)
		return
	}
	l.push(wsframe.AppendServer(nil, ws.OpBinary, p))
}

func (l *wiredLink) push(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.in <- p
	}
}

func (l *wiredLink) drop(code CloseCode) {
	var refusal error
	if code == CloseLost {
		refusal = failure("no connection")
	}
	select {
	case l.answer <- refusal: // if it was not accepted
	default:
	}
	switch {
	case code == CloseLost || l.away:
	case l.events:
		l.text(`{"away":{"code":` + strconv.Itoa(int(code)) + `}}`)
	case code == 1005:
		l.push(wsframe.AppendServer(nil, ws.OpClose, nil))
	default:
		l.push(wsframe.AppendServer(nil, ws.OpClose, wsframe.AppendCloseBody(nil, ws.StatusCode(code), "")))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if !l.ended {
		l.ended = true
		close(l.in)
	}
}

func (l *wiredLink) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || l.events && l.request.Err() != nil
}

func (l *wiredLink) next() *message {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sent) == 0 {
		return nil
	}
	m := l.sent[0]
	l.sent = l.sent[1:]
	return &m
}
