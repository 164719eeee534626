package webpubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	apiVersion = "2024-12-01"

	firstWait     = 200 * time.Millisecond // before the second try, about
	mostWait      = 5 * time.Second        // before a later one
	mostAskedWait = 30 * time.Second       // that a Retry-After may ask for
	mostAnswer    = 64 << 10               // bytes of an answer that are read
)

// request is one call of the API.
type request struct {
	method  string
	path    string // behind that of the hub, escaped
	query   url.Values
	message *Message // the body, if there is one
}

// segment escapes what the caller gave as a part of a path, as Microsoft's clients
// do: everything but what RFC 3986 calls unreserved. The service compares the
// address with the one in the token.
func segment(what, name string) (string, error) {
	switch name {
	case "", ".", "..":
		return "", fmt.Errorf("webpubsub: %q is not a name of a %s", name, what)
	}
	return strings.ReplaceAll(url.QueryEscape(name), "+", "%20"), nil
}

// address is the whole address of a request.
func (c *Client) address(r request) string {
	query := url.Values{"api-version": {apiVersion}}
	maps.Copy(query, r.query)
	return c.endpoint.String() + "/api/hubs/" + url.PathEscape(c.hub) + r.path + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

// do makes a request, several times if need be, and returns the body of the
// answer.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	if r.message != nil {
		if err := r.message.check(); err != nil {
			return nil, err
		}
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ctx.Err() != nil { // there was room, too
		return nil, context.Cause(ctx)
	}
	address := c.address(r)
	for try := 1; ; try++ {
		body, err := c.try(ctx, r, address)
		if err == nil {
			return body, nil
		}
		wait, again := retryAfter(err, try)
		if !again || try == c.tries {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// noAnswerError is what kept the service's answer away.
type noAnswerError struct{ error }

func (e noAnswerError) Unwrap() error { return e.error }

// retryAfter reports whether a request that failed may be made again, and after
// which time.
func retryAfter(err error, try int) (time.Duration, bool) {
	grown := min(mostWait, firstWait<<min(try-1, 10))
	wait := grown/2 + rand.N(grown) //nolint:gosec // spreads clients; nothing depends on its being secret
	var refused *ResponseError
	switch {
	case errors.As(err, &refused):
		switch refused.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return max(wait, refused.RetryAfter), refused.RetryAfter <= mostAskedWait
		}
		return 0, false
	default:
		return wait, errors.As(err, new(noAnswerError))
	}
}

// try makes a request once.
func (c *Client) try(ctx context.Context, r request, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.token(ctx, address)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.message != nil {
		body = bytes.NewReader(r.message.Data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("webpubsub: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if r.method != http.MethodHead {
		req.Header.Set("Accept", "application/json")
	}
	if r.message != nil {
		req.Header.Set("Content-Type", r.message.Type.contentType())
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, noAnswerError{fmt.Errorf("webpubsub: %w", err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, newResponseError(res, answer) // whatever of the body has come
	}
	if err != nil {
		return nil, noAnswerError{fmt.Errorf("webpubsub: %w", err)}
	}
	return answer, nil
}
