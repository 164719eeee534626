package awslambda

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// This file answers the events of a WebSocket API. An event's type says what it is;
// its route key is the API's own business.

// webSocket handles an event of a connection.
func (f *Function) webSocket(ctx context.Context, ev *webSocketEvent) (response, error) {
	at := &ev.RequestContext
	id := f.gateway.idOf(at)
	switch at.EventType {
	case "CONNECT":
		return f.connect(ctx, id, &ev.APIGatewayWebsocketProxyRequest), nil
	case "MESSAGE":
		return f.message(ctx, id, ev)
	case "DISCONNECT":
		code, reason := kanava.CloseAbnormal, ""
		if at.DisconnectStatusCode > 0 && at.DisconnectStatusCode <= 4999 {
			code = kanava.CloseCode(at.DisconnectStatusCode)
		}
		if at.DisconnectReason != nil {
			reason = *at.DisconnectReason
		}
		return response{StatusCode: http.StatusOK}, f.runtime.Disconnect(ctx, id, code, reason)
	}
	return response{}, errOther
}

// connect answers $connect: any status but 2xx refuses the client.
func (f *Function) connect(ctx context.Context, id string, ev *events.APIGatewayWebsocketProxyRequest) response {
	req, err := f.openRequest(ev)
	if err != nil {
		return refused(err)
	}
	subprotocol, failed := f.runtime.Connect(ctx, id, req)
	if failed != nil {
		var e *kanava.Error
		if !errors.As(failed, &e) {
			e = kanava.Errorf(kanava.CodeInternal, "internal error")
			f.logger.ErrorContext(ctx, "awslambda: $connect failed", "connection", id, "error", failed)
		}
		return refused(e)
	}
	r := response{StatusCode: http.StatusOK}
	if subprotocol != "" {
		r.Headers = map[string]string{"Sec-WebSocket-Protocol": subprotocol}
	}
	return r
}

func refused(e *kanava.Error) response {
	rec := newRecorder()
	httperr.Write(rec, e)
	r := response{StatusCode: rec.status, Headers: make(map[string]string), Body: string(rec.body)}
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if v := rec.header.Get(name); v != "" {
			r.Headers[name] = v
		}
	}
	return r
}

// openRequest is what the client has asked for.
func (f *Function) openRequest(ev *events.APIGatewayWebsocketProxyRequest) (*kanava.OpenRequest, *kanava.Error) {
	u, err := url.Parse(f.path(ev))
	if err != nil {
		return nil, kanava.Errorf(kanava.CodeNotFound, "no channel has this path").Because(err)
	}
	return openrequest.WebSocket(handshake(u, ev))
}

// handshake is the request by which a client wants to connect, for the path in u.
func handshake(u *url.URL, ev *events.APIGatewayWebsocketProxyRequest) *http.Request {
	query := make(url.Values)
	for name, v := range ev.QueryStringParameters {
		query.Set(name, v)
	}
	maps.Copy(query, ev.MultiValueQueryStringParameters)
	u.RawQuery = query.Encode()
	header := make(http.Header)
	for name, vs := range ev.MultiValueHeaders {
		key := textproto.CanonicalMIMEHeaderKey(name)
		header[key] = append(header[key], vs...)
	}
	if len(header) == 0 {
		for name, v := range ev.Headers {
			header.Set(name, v)
		}
	}
	host := header.Get("Host")
	header.Del("Host") // as net/http does
	setAuthorizer(header, ev.RequestContext.Authorizer)
	if host == "" {
		host = ev.RequestContext.DomainName
	}
	return &http.Request{Method: http.MethodGet, URL: u, Host: host, Header: header, RemoteAddr: remoteAddr(ev.RequestContext.Identity.SourceIP)}
}

// remoteAddr is the address of a client as net/http has it. Its port is not known.
func remoteAddr(ip string) string {
	if ip == "" {
		return ""
	}
	return net.JoinHostPort(ip, "0")
}

// message runs what a client has said.
func (f *Function) message(ctx context.Context, id string, ev *webSocketEvent) (response, error) {
	r := response{StatusCode: http.StatusOK}
	text, ok := textOf(ev)
	if !ok { // AWS itself refuses it: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-binary-media-types.html
		return r, f.gateway.Close(ctx, id, kanava.CloseUnsupportedData, "")
	}
	var respond func(kanava.Frame) bool
	if f.routeResponse {
		respond = func(frame kanava.Frame) bool {
			if frame.Binary || len(frame.Data) == 0 {
				return false
			}
			r.Body = string(frame.Data)
			return true
		}
	}
	err := f.runtime.Message(ctx, id, []byte(text), false, respond)
	if errors.Is(err, kanava.ErrGone) { // of a connection that is kept no more
		err = f.gateway.Close(ctx, id, kanava.CloseInternal, "")
	}
	return r, err
}

// textOf returns the text of a message; false for one that is binary.
func textOf(ev *webSocketEvent) (text string, ok bool) {
	if ev.Body == nil { // of an empty message
		return "", !ev.IsBase64Encoded
	}
	if json.Unmarshal(ev.Body, &text, decodeOptions) != nil || ev.Body.Kind() != '"' {
		return "", false
	}
	return text, !ev.IsBase64Encoded
}

// bodyOf returns the body of a request of an HTTP API.
func bodyOf(ev *events.APIGatewayV2HTTPRequest) ([]byte, error) {
	if ev.IsBase64Encoded {
		return base64.StdEncoding.DecodeString(ev.Body)
	}
	return []byte(ev.Body), nil
}
