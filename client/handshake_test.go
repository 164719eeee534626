package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava/internal/wsframe"
)

// Where opening data goes.
func TestAddress(t *testing.T) {
	type o map[string]any
	params := []Param{{Name: "room", Path: "room", Query: "room"}, {Name: "q", Query: "query"}, {Name: "h", Header: "X-H"}}
	for _, tt := range []struct {
		proves, base, path string
		opening            any
		want, header       string
	}{
		{"a wildcard is escaped", "ws://h", "/c/{room}", o{"room": "a/b ä?"}, "http://h/c/a%2Fb%20%C3%A4%3F", ""},
		{"the rest of a path keeps its slashes", "wss://h/", "/c/{room...}", o{"room": "a/b c"}, "https://h/c/a/b%20c", ""},
		{"an empty rest", "http://h", "/c/{room...}", o{}, "http://h/c/", ""},
		{"the end of a pattern", "https://h:8/base/", "/c/{$}", o{}, "https://h:8/base/c/", ""},
		{"a query, with an array and without null", "ws://h", "/c", o{"q": []any{"a b", 1, true, nil}}, "http://h/c?query=a+b&query=1&query=true", ""},
		{"null is left out", "ws://h", "/c", o{"q": nil}, "http://h/c", ""},
		{"a header", "ws://h", "/c", struct {
			H string `json:"h"`
		}{"v"}, "http://h/c", "v"},
		{"no data", "ws://h", "/c", nil, "http://h/c", ""},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			s := Spec{Path: tt.path, Params: params}
			got, header, err := s.address(tt.base, tt.opening)
			if err != nil || got != tt.want || header.Get("X-H") != tt.header {
				t.Errorf("%s %v %v, want %s", got, header, err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		base, path string
		opening    any
		want       string
	}{
		{"ftp://h", "/c", nil, "not ws://"},
		{"http://h?a=1", "/c", nil, "a query or a fragment"},
		{"ws://h#a", "/c", nil, "a query or a fragment"},
		{"ws://", "/c", nil, "no host"},
		{"ws://h\x00", "/c", nil, "address of the server"},
		{"ws://h", "/c/{room}", o{}, `a value for "room"`},
		{"ws://h", "/c", o{"q": o{}}, `member "q"`},
		{"ws://h", "/c", []int{1}, "opening data"},
		{"ws://h", "/c", make(chan int), "opening data"},
	} {
		s := Spec{Path: tt.path, Params: params}
		if got, _, err := s.address(tt.base, tt.opening); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %s %v", tt, got, err)
		}
	}
}

// dialTest makes a connection to a handler.
func dialTest(t *testing.T, h http.HandlerFunc) (*webSocket, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	header := http.Header{"Host": {"other.test"}, "X-Y": {"z"}}
	return webSocketOpener(srv.URL+"/c?x=1", header, &http.Client{Transport: tr, Timeout: time.Nanosecond}, 1000)(ctx)
}

// What a handshake asks for.
func TestHandshake(t *testing.T) {
	got := make(chan *http.Request, 1)
	_, err := dialTest(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error":{"code":"unavailable","message":"shutting down"}}`)
	})
	r := <-got
	for name, want := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Protocol": "kanava.v1", "X-Y": "z", "Origin": "",
	} {
		if r.Header.Get(name) != want {
			t.Errorf("%s: %q", name, r.Header.Get(name))
		}
	}
	if r.Host != "other.test" || r.URL.RawQuery != "x=1" {
		t.Errorf("%s %s", r.Host, r.URL)
	}
	var e *ending
	if !errors.As(err, &e) || e.code != CloseLost || e.after != 3000 || code(err) != CodeUnavailable || !strings.Contains(err.Error(), "503") {
		t.Errorf("%+v", err)
	}
}

// A redirect is not followed: what is sent next may be a credential.
func TestRedirect(t *testing.T) {
	_, err := dialTest(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) })
	if err == nil || !strings.Contains(err.Error(), "302") {
		t.Error(err)
	}
}

// A server that is no WebSocket server for kanava.v1 is refused.
func TestWrongHandshake(t *testing.T) {
	right := map[string]string{
		"Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Protocol": "kanava.v1", "Sec-WebSocket-Accept": "",
	}
	for name, value := range map[string]string{
		"": "", "Upgrade": "h2c", "Connection": "close", "Sec-WebSocket-Protocol": "kanava.plain", "Sec-WebSocket-Accept": "wrong", "Sec-WebSocket-Extensions": "permessage-deflate",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := dialTest(t, func(w http.ResponseWriter, r *http.Request) {
				hijacked, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer hijacked.Close()
				fmt.Fprint(hijacked, "HTTP/1.1 101 Switching Protocols\r\n")
				for n, v := range right {
					if n == "Sec-WebSocket-Accept" {
						v = accept(r.Header.Get("Sec-WebSocket-Key"))
					}
					if n == name {
						v = value
					}
					fmt.Fprintf(hijacked, "%s: %s\r\n", n, v)
				}
				if name == "Sec-WebSocket-Extensions" {
					fmt.Fprintf(hijacked, "%s: %s\r\n", name, value)
				}
				fmt.Fprint(hijacked, "\r\n")
			})
			if (err == nil) != (name == "") {
				t.Errorf("%v", err)
			}
			if l != nil {
				l.close(0)
			}
		})
	}
}

// wire returns a webSocket and the other end of its connection.
func wirePair(t *testing.T) (*webSocket, net.Conn, *bufio.Reader) {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() {
		mine.Close()
		theirs.Close()
	})
	w := &webSocket{body: mine, parser: wsframe.NewParser(wsframe.Client, 1000), in: make([]byte, 64), ended: make(chan struct{})}
	return w, theirs, bufio.NewReader(theirs)
}

func readFrame(t *testing.T, r *bufio.Reader) ws.Frame {
	t.Helper()
	h, err := ws.ReadHeader(r)
	if err != nil {
		t.Error(err)
		return ws.Frame{}
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		t.Error(err)
	}
	if !f.Header.Masked {
		t.Error("a client's frame that is not masked")
	}
	return ws.UnmaskFrameInPlace(f)
}

// What a webSocket does with frames, checked with the codec of gobwas/ws.
func TestWebSocket(t *testing.T) {
	for _, tt := range []struct {
		proves string
		frame  ws.Frame
		answer ws.OpCode
		body   string
		code   CloseCode
	}{
		{"a close is answered and its code is told", ws.NewCloseFrame(ws.NewCloseFrameBody(4409, "slow")), ws.OpClose, "\x11\x39", 4409},
		{"a close without a code", ws.NewCloseFrame(nil), ws.OpClose, "", 1005},
		{"a message that is too large", ws.NewTextFrame(make([]byte, 1001)), ws.OpClose, "\x03\xf1", CloseLost},
		{"text that is not UTF-8", ws.NewTextFrame([]byte{0xff}), ws.OpClose, "\x03\xef", CloseLost},
		{"a masked frame", ws.MaskFrame(ws.NewTextFrame([]byte("x"))), ws.OpClose, "\x03\xea", CloseLost},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			w, theirs, in := wirePair(t)
			ended := make(chan error)
			go func() {
				_, err := w.read()
				ended <- err
			}()
			go func() { _ = ws.WriteFrame(theirs, tt.frame) }()
			f := readFrame(t, in)
			if f.Header.OpCode != tt.answer || string(f.Payload) != tt.body {
				t.Errorf("answered %#x % x", f.Header.OpCode, f.Payload)
			}
			var e *ending
			if err := <-ended; !errors.As(err, &e) || e.code != tt.code {
				t.Errorf("%+v", err)
			}
			if _, err := w.read(); err == nil {
				t.Error("read goes on")
			}
		})
	}
}

func TestWebSocketPingAndMessages(t *testing.T) {
	w, theirs, in := wirePair(t)
	go func() {
		_ = ws.WriteFrame(theirs, ws.NewPingFrame([]byte("hi")))
		f := readFrame(t, in)
		if f.Header.OpCode != ws.OpPong || string(f.Payload) != "hi" {
			t.Errorf("%+v", f)
		}
		_ = ws.WriteFrame(theirs, ws.NewFrame(ws.OpText, false, []byte("in ")))
		_ = ws.WriteFrame(theirs, ws.NewFrame(ws.OpContinuation, true, []byte("parts")))
	}()
	m, err := w.read()
	if err != nil || string(m.data) != "in parts" || m.binary {
		t.Errorf("%s %v", m.data, err)
	}
	go func() { _ = w.write([]message{{[]byte("text"), false}, {[]byte{1}, true}}) }()
	if f := readFrame(t, in); f.Header.OpCode != ws.OpText || string(f.Payload) != "text" {
		t.Errorf("%+v", f)
	}
	if f := readFrame(t, in); f.Header.OpCode != ws.OpBinary || len(f.Payload) != 1 {
		t.Errorf("%+v", f)
	}
}
