package client

import (
	"bytes"
	"context"
	"io"
	"maps"
	"mime"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"
)

// eventLink implements link over HTTP alone: frames come down as server-sent
// events, and go up by POST (docs/protocol.md P20 and P21).
type eventLink struct {
	url    string
	header http.Header
	client *http.Client
	life   context.Context //nolint:containedctx // that of the response, and of every POST
	cancel context.CancelFunc
	body   io.ReadCloser

	stream eventStream
	in     []byte
	rest   []byte  // of in, not parsed
	over   *ending // what read returns from now on
	once   sync.Once

	opened chan struct{} // closed when up and limit are set
	up     string        // the secret
	limit  int           // bytes of a POST
	seq    uint64        // of the POST before; of write

	mu     sync.Mutex
	broken *ending // guarded by mu: why the link was ended from here
}

// eventDialer returns a dialer for server-sent events.
func eventDialer(url string, header http.Header, client *http.Client, limit int) dialer {
	own := withoutRedirects(client)
	return func(ctx context.Context, hello []byte) (link, error) {
		l := &eventLink{
			url: url, header: header, client: own,
			stream: eventStream{limit: limit}, in: make([]byte, 4<<10), opened: make(chan struct{}),
		}
		l.life, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, l.cancel)
		err := l.open(hello)
		if err == nil && !stop() {
			err = lostBy(ctx.Err())
			l.body.Close()
		}
		if err != nil {
			stop()
			l.cancel()
			return nil, err
		}
		return l, nil
	}
}

func lostBy(cause error) error {
	return &ending{code: CloseLost, reason: "no connection", cause: cause, plain: unreachable(cause)}
}

// open sends the hello, and waits until the answer begins.
func (l *eventLink) open(hello []byte) error {
	req, err := l.request(l.life, hello)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity") // what compresses an answer also holds it back
	req.Header.Set("Kanava-Protocol", subprotocol)
	res, err := l.client.Do(req)
	if err != nil {
		return lostBy(err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return refusal(res)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "text/event-stream" {
		res.Body.Close()
		return &ending{code: CloseLost, reason: "the server's answer is no stream of events"}
	}
	if p := res.Header.Get("Kanava-Protocol"); p != subprotocol {
		res.Body.Close()
		return &ending{code: CloseLost, reason: "the server answered with another protocol than " + subprotocol}
	}
	l.body = res.Body
	return nil
}

// request returns a POST to the channel.
func (l *eventLink) request(ctx context.Context, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, l.header)
	if host := l.header.Get("Host"); host != "" {
		req.Host = host
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

func (l *eventLink) read() (message, error) {
	for l.over == nil {
		ev, rest, found, err := l.stream.next(l.rest)
		l.rest = rest
		switch {
		case err != nil:
			return l.end(&ending{code: CloseLost, reason: "the server broke a rule", cause: err})
		case found && ev.comment:
			return message{}, nil // a sign of life
		case found && len(ev.name) > 0:
		case found:
			l.learn(ev.data)
			return message{data: ev.data}, nil
		default:
			n, err := l.body.Read(l.in)
			if l.rest = l.in[:n]; n == 0 && err != nil {
				return l.end(&ending{code: CloseLost, reason: "the connection was lost", cause: err})
			}
		}
	}
	return message{}, l.over
}

// learn takes from the first frames what POSTs need.
func (l *eventLink) learn(frame []byte) {
	select {
	case <-l.opened:
		return
	default:
	}
	var f struct {
		Open *struct {
			Up  string `json:"up"`
			Max int    `json:"max"`
		} `json:"open"`
	}
	if json.Unmarshal(frame, &f) == nil && f.Open != nil {
		l.up, l.limit = f.Open.Up, max(f.Open.Max, postSize)
		close(l.opened)
	}
}

// end is the end of reading.
func (l *eventLink) end(e *ending) (message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		e = l.broken
	}
	l.over = e
	l.cancel()
	return message{}, e
}

// fail ends the link because of what a POST was answered.
func (l *eventLink) fail(e *ending) error {
	l.mu.Lock()
	if l.broken == nil {
		l.broken = e
	}
	l.mu.Unlock()
	l.abort()
	return e
}

// close ends the request, which is all that a client can tell.
func (l *eventLink) close(CloseCode) { l.abort() }

func (l *eventLink) abort() {
	l.cancel()
	l.once.Do(func() { l.body.Close() })
}

func (l *eventLink) textOnly() bool { return true }
