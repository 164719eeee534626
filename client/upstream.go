package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// This file sends what a client says over HTTP alone (docs/protocol.md P21).

const (
	postMessages = 128
	postSize     = 64 << 10         // bytes, or open.max if that is more
	postTime     = 20 * time.Second // in which a POST is answered
	firstPause   = time.Second      // before a POST is sent again
	longestPause = 5 * time.Second
)

// write sends messages, one POST after the other. Each is sent until the server
// has taken it: the silence of the server is for others to find.
func (l *eventLink) write(batch []message) error {
	select {
	case <-l.opened:
	case <-l.life.Done():
		return l.life.Err()
	}
	var body []byte
	n := 0
	for i := range batch {
		line := batch[i].data
		if n > 0 && (n == postMessages || len(body)+len(line) > l.limit) {
			if err := l.deliver(body); err != nil {
				return err
			}
			body, n = body[:0], 0
		}
		body = append(append(body, line...), '\n')
		n++
	}
	return l.deliver(body)
}

// deliver sends the next POST until it is taken.
func (l *eventLink) deliver(body []byte) error {
	l.seq++
	pause := firstPause
	for {
		wait, err := l.post(body)
		if err != nil {
			return l.fail(err)
		}
		if wait == 0 {
			return nil
		}
		if wait < 0 {
			wait = pause
			pause = min(pause*3/2, longestPause)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-l.life.Done():
			t.Stop()
			return l.life.Err()
		}
	}
}

// post sends a POST. It returns 0 if that was taken, else after how long to
// send it again; less than 0 leaves that to the client. An error is the end of
// the connection.
func (l *eventLink) post(body []byte) (wait time.Duration, _ *ending) {
	ctx, cancel := context.WithTimeout(l.life, postTime)
	defer cancel()
	req, err := l.request(ctx, body)
	if err != nil {
		return 0, &ending{code: CloseLost, reason: "no request", cause: err}
	}
	req.Header.Set("Kanava-Up", l.up)
	req.Header.Set("Kanava-Seq", strconv.FormatUint(l.seq, 10))
	res, err := l.client.Do(req)
	if err != nil {
		return -1, nil
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e := refusal(res)
		if e.after > 0 {
			return millis(e.after), nil
		}
		return -1, nil
	case http.StatusNotFound:
		return 0, &ending{code: CloseLost, reason: "the server knows the connection no more"}
	}
	e := refusal(res)
	e.reason = "the server answered what it was told with " + res.Status
	return 0, e
}
