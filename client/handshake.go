package client

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava/internal/wsframe"
)

const subprotocol = "kanava.v1"

// webSocketDialer returns a dialer for WebSocket (RFC 6455). The handshake is
// made by net/http, which knows about TLS, proxies and cookies. Redirects are
// not followed: the first frame may hold a credential.
func webSocketDialer(url string, header http.Header, client *http.Client, limit int) dialer {
	open := webSocketOpener(url, header, client, limit)
	return func(ctx context.Context, hello []byte) (link, error) {
		w, err := open(ctx)
		if err != nil {
			return nil, err
		}
		_ = w.write([]message{{data: hello}}) // reading finds out why
		return w, nil
	}
}

// webSocketProbe returns a function that finds out whether a WebSocket opens,
// and carries something both ways: its end is the server's answer to the
// client's. The server runs nothing for it.
func webSocketProbe(url string, header http.Header, client *http.Client) func(ctx context.Context) bool {
	open := webSocketOpener(url, header, client, 4<<10)
	return func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, turnTime)
		defer cancel()
		w, err := open(ctx)
		if err != nil {
			return false
		}
		defer context.AfterFunc(ctx, w.abort)()
		defer w.abort()
		w.sendClose(ws.StatusCode(CloseNormal))
		for err == nil {
			_, err = w.read()
		}
		e, _ := errors.AsType[*ending](err)
		return e != nil && e.code == CloseNormal
	}
}

// withoutRedirects returns a client as it is, but for what it must not do.
func withoutRedirects(client *http.Client) *http.Client {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.Timeout = 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func webSocketOpener(url string, header http.Header, client *http.Client, limit int) func(ctx context.Context) (*webSocket, error) {
	own := withoutRedirects(client)
	return func(ctx context.Context) (*webSocket, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return nil, err
		}
		maps.Copy(req.Header, header)
		if host := header.Get("Host"); host != "" {
			req.Host = host
		}
		var nonce [16]byte
		_, _ = rand.Read(nonce[:]) // never fails
		key := base64.StdEncoding.EncodeToString(nonce[:])
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Sec-WebSocket-Version", "13")
		req.Header.Set("Sec-WebSocket-Key", key)
		req.Header.Set("Sec-WebSocket-Protocol", subprotocol)
		res, err := own.Do(req)
		if err != nil {
			return nil, lostBy(err)
		}
		if err := checkHandshake(res, key); err != nil {
			res.Body.Close()
			return nil, err
		}
		body, ok := res.Body.(io.ReadWriteCloser)
		if !ok {
			res.Body.Close()
			return nil, &ending{code: CloseLost, reason: fmt.Sprintf("HTTPClient's transport gives a %T that cannot be written", res.Body)}
		}
		return &webSocket{
			body:   body,
			parser: wsframe.NewParser(wsframe.Client, limit),
			in:     make([]byte, 4<<10),
			ended:  make(chan struct{}),
		}, nil
	}
}

// checkHandshake applies the rules of RFC 6455 section 4.1 to the answer.
func checkHandshake(res *http.Response, key string) error {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return refusal(res)
	}
	var wrong string
	switch {
	case !strings.EqualFold(res.Header.Get("Upgrade"), "websocket"):
		wrong = "another protocol than WebSocket"
	case !hasToken(res.Header, "Connection", "upgrade"):
		wrong = "no header Connection: upgrade"
	case res.Header.Get("Sec-WebSocket-Accept") != accept(key):
		wrong = "a wrong Sec-WebSocket-Accept"
	case len(res.Header.Values("Sec-WebSocket-Extensions")) > 0:
		wrong = "an extension that was not offered"
	case res.Header.Get("Sec-WebSocket-Protocol") != subprotocol:
		wrong = "another subprotocol than " + subprotocol
	default:
		return nil
	}
	return &ending{code: CloseLost, reason: "the server answered the handshake with " + wrong}
}

func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// refusal returns what a server says in place of opening a connection.
func refusal(res *http.Response) *ending {
	e := &ending{code: CloseLost, reason: "the server answered with " + res.Status}
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
		e.after = float64(seconds) * 1000
	}
	var said struct {
		Error wireError `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err == nil && json.Unmarshal(text, &said) == nil && said.Error.Message != "" {
		e.cause = said.Error.told()
		switch res.StatusCode { // what a server refuses in any case (P3); else something has changed the request
		case http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			e.plain = true
		}
	}
	return e
}
