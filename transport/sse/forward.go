package sse

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
)

// This file lets any node take what a client says: it goes to the node of the
// connection, which the secret names, and what that answers comes back
// (docs/protocol.md P21). The origin was checked where the request came.

const (
	forwardMost  = 1 << 20 // bytes of a body; the node of the connection knows the real limit
	forwardsMost = 256     // requests on their way to other nodes
)

// forwardedPost is a request as another node gets it, and forwardedAnswer what
// that answers.
type (
	forwardedPost struct {
		Header http.Header `json:"header"` // the fields that mean something
		Body   []byte      `json:"body"`
	}
	forwardedAnswer struct {
		Status int         `json:"status"`
		Header http.Header `json:"header"`
		Body   []byte      `json:"body"`
	}
)

// forward has another node answer a request.
func (h *handler) forward(w http.ResponseWriter, r *http.Request, node string) {
	f, ok := h.d.(kanava.Forwarder)
	if !ok {
		httperr.Write(w, errUnknown)
		return
	}
	defer h.forwarded.Add(-1)
	if h.forwarded.Add(1) > forwardsMost {
		httperr.Write(w, errMany)
		return
	}
	body, err := readBody(w, r, forwardMost)
	if err != nil {
		httperr.Write(w, err)
		return
	}
	p := forwardedPost{Header: http.Header{}, Body: body}
	for _, field := range []string{fieldUp, fieldSeq, "Content-Type"} {
		if v := r.Header[field]; v != nil {
			p.Header[field] = v
		}
	}
	request, err := json.Marshal(p)
	if err != nil {
		httperr.Write(w, err)
		return
	}
	var a forwardedAnswer
	response, err := f.Forward(r.Context(), node, request)
	if err == nil {
		err = json.Unmarshal(response, &a)
	}
	if e, ok := errors.AsType[*kanava.Error](err); ok && e.Code == kanava.CodeNotFound {
		err = errUnknown
	}
	if err != nil {
		httperr.Write(w, err)
		return
	}
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // the client may have gone
}

// answerForwarded answers what another node has forwarded.
func (h *handler) answerForwarded(ctx context.Context, request []byte) (response []byte) {
	w := &forwardedAnswer{Header: http.Header{}}
	var p forwardedPost
	if json.Unmarshal(request, &p) != nil || len(p.Header[fieldUp]) != 1 || h.open.elsewhere(p.Header[fieldUp][0]) != "" {
		httperr.Write(w.writer(), errUnknown)
	} else {
		r := (&http.Request{Method: http.MethodPost, Header: p.Header, Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
		r.Body = bodyOf(p.Body)
		r.ContentLength = int64(len(p.Body))
		h.serveUpstream(w.writer(), r)
	}
	response, _ = json.Marshal(w) // it has a JSON form
	return response
}

// answerWriter is the http.ResponseWriter of a forwardedAnswer.
type answerWriter struct{ a *forwardedAnswer }

func (a *forwardedAnswer) writer() answerWriter { return answerWriter{a} }

func (w answerWriter) Header() http.Header { return w.a.Header }

func (w answerWriter) WriteHeader(status int) {
	if w.a.Status == 0 {
		w.a.Status = status
	}
}

func (w answerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.a.Body = append(w.a.Body, p...)
	return len(p), nil
}

// SetReadDeadline has nothing to do: the body is there.
func (answerWriter) SetReadDeadline(time.Time) error { return nil }

// body is one that is there already.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

func bodyOf(p []byte) *body {
	b := &body{}
	b.Reset(p)
	return b
}
