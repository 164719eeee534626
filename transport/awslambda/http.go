package awslambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
)

// This file answers events of an HTTP API by an http.Handler.

// maxResponse is Lambda's limit for the answer to an event, in bytes:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxResponse = 6 << 20

// httpResponse is an answer. Cookies are never null, which an emulator dies of.
type httpResponse struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Cookies         []string          `json:"cookies"`
}

// serveHTTP handles a request.
func (f *Function) serveHTTP(ctx context.Context, ev *events.APIGatewayV2HTTPRequest) ([]byte, error) {
	rec := newRecorder()
	req, err := requestOf(ctx, ev)
	if err != nil {
		httperr.Write(rec, kanava.Errorf(kanava.CodeInvalidArgument, "the request is malformed").Because(err))
	} else if rec = f.run(req); rec.full {
		f.logger.ErrorContext(ctx, "awslambda: a response is larger than Lambda takes", "method", req.Method, "path", req.URL.Path, "limit", maxResponse)
		rec = internalError()
	}
	if err := f.runtime.Settle(ctx); err != nil {
		f.logger.ErrorContext(ctx, "awslambda: what a request has published may not be sent yet", "error", err)
	}
	out, err := rec.encode(ev.RequestContext.HTTP.Method)
	if err == nil && len(out) > maxResponse {
		f.logger.ErrorContext(ctx, "awslambda: a response is larger than Lambda takes", "bytes", len(out), "limit", maxResponse)
		out, err = internalError().encode(ev.RequestContext.HTTP.Method)
	}
	return out, err
}

// run runs the handler on a goroutine of its own, which the handler may end: one
// request must not end the process.
func (f *Function) run(req *http.Request) *recorder {
	rec, returned := newRecorder(), false
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint,err113 // as net/http compares it
				f.logger.ErrorContext(req.Context(), "awslambda: a handler panicked", "method", req.Method, "path", req.URL.Path, "panic", p)
			}
			if p != nil || !returned && rec.status == 0 {
				rec = internalError()
			}
		}()
		f.http.ServeHTTP(rec, req)
		returned = true
	}()
	<-done
	return rec
}

func internalError() *recorder {
	rec := newRecorder()
	httperr.Write(rec, kanava.Errorf(kanava.CodeInternal, "internal error"))
	return rec
}

// requestOf makes a request of an event.
func requestOf(ctx context.Context, ev *events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body, err := bodyOf(ev)
	if err != nil {
		return nil, err
	}
	at := &ev.RequestContext
	path := ev.RawPath
	if stage := "/" + at.Stage; at.Stage != "$default" && (path == stage || strings.HasPrefix(path, stage+"/")) {
		path = strings.TrimPrefix(path, stage)
	}
	if path == "" {
		path = "/"
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	if u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") {
		return nil, errors.New("the path is none")
	}
	u.RawQuery = ev.RawQueryString
	req, err := http.NewRequestWithContext(ctx, at.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL = u
	for name, v := range ev.Headers {
		req.Header.Set(name, v)
	}
	if len(ev.Cookies) > 0 {
		req.Header.Set("Cookie", strings.Join(ev.Cookies, "; "))
	}
	setAuthorizer(req.Header, ev.RequestContext.Authorizer)
	req.Host = req.Header.Get("Host")
	req.Header.Del("Host")
	if req.Host == "" {
		req.Host = at.DomainName
	}
	req.RequestURI = u.RequestURI()
	req.RemoteAddr = remoteAddr(at.HTTP.SourceIP)
	return req, nil
}

// recorder is an http.ResponseWriter that keeps the response, as far as Lambda takes
// one. It is an http.Flusher which waits for the end, so that streams come then.
type recorder struct {
	header http.Header
	sent   http.Header // header, as it was when the status was written
	status int         // 0: not written yet
	body   []byte
	full   bool
}

func newRecorder() *recorder { return &recorder{header: make(http.Header)} }

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status, r.sent = status, r.header.Clone()
	}
}

var errTooLarge = errors.New("awslambda: the response is larger than Lambda takes")

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if len(r.body)+len(p) > maxResponse {
		r.full = true
		return 0, errTooLarge
	}
	r.body = append(r.body, p...)
	return len(p), nil
}

// Flush writes the status, and leaves the rest for later.
func (r *recorder) Flush() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
}

// encode returns the response to a request with this method as Lambda takes it.
func (r *recorder) encode(method string) ([]byte, error) {
	r.Flush()
	res := httpResponse{StatusCode: r.status, Headers: make(map[string]string), Cookies: []string{}}
	if r.sent.Get("Content-Type") == "" && len(r.body) > 0 {
		r.sent.Set("Content-Type", http.DetectContentType(r.body))
	}
	for name, vs := range r.sent {
		switch name {
		case "Set-Cookie":
			res.Cookies = append(res.Cookies, vs...)
		case "Connection", "Transfer-Encoding", "Content-Length": // the gateway's
		default:
			res.Headers[name] = strings.Join(vs, ", ")
		}
	}
	switch {
	case method == http.MethodHead:
		res.Headers["Content-Length"] = strconv.Itoa(len(r.body))
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
	case utf8.Valid(r.body):
		res.Body = string(r.body)
	default:
		res.Body, res.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.body), true
	}
	return json.Marshal(&res, jsontext.AllowInvalidUTF8(true))
}
