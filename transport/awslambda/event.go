package awslambda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// This file tells events apart.

// webSocketEvent is an event of a WebSocket API. Emulators have an object for the
// body of a binary message, which AWS refuses, and an array for a name that stands
// in the query twice, which has a member of its own on AWS.
type webSocketEvent struct {
	events.APIGatewayWebsocketProxyRequest
	Body  jsontext.Value            `json:"body"`
	Query map[string]jsontext.Value `json:"queryStringParameters"`
}

// decode reads an event.
func (ev *webSocketEvent) decode(payload []byte) error {
	if err := json.Unmarshal(payload, ev, decodeOptions); err != nil {
		return err
	}
	ev.QueryStringParameters = make(map[string]string, len(ev.Query))
	for name, v := range ev.Query {
		var texts []string
		if v.Kind() != '[' {
			texts = make([]string, 1)
			if err := json.Unmarshal(v, &texts[0], decodeOptions); err != nil {
				return err
			}
		} else if err := json.Unmarshal(v, &texts, decodeOptions); err != nil {
			return err
		}
		if len(texts) > 0 {
			ev.QueryStringParameters[name] = texts[len(texts)-1]
		}
		if len(texts) > 1 {
			if ev.MultiValueQueryStringParameters == nil {
				ev.MultiValueQueryStringParameters = make(map[string][]string)
			}
			ev.MultiValueQueryStringParameters[name] = texts
		}
	}
	return nil
}

// eventKind is how an event shows what it is of.
type eventKind struct {
	Version        string `json:"version"`
	RequestContext struct {
		EventType    string         `json:"eventType"`
		ConnectionID string         `json:"connectionId"`
		HTTP         jsontext.Value `json:"http"`
	} `json:"requestContext"`
}

// How events are read: that what a client has said is no UTF-8 is for others to judge.
var decodeOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

var errOther = errors.New("awslambda: the event is neither of a WebSocket API nor of an HTTP API with payload 2.0")

// Invoke handles one event. It implements lambda.Handler. An error is for the log of
// the function: the gateway tells the client no more than that there was one.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	var kind eventKind
	if err := json.Unmarshal(payload, &kind, decodeOptions); err != nil {
		return nil, fmt.Errorf("awslambda: decode the event: %w", err)
	}
	switch at := kind.RequestContext; {
	case at.ConnectionID != "" && at.EventType != "":
		var ev webSocketEvent
		if err := ev.decode(payload); err != nil {
			return nil, fmt.Errorf("awslambda: decode the event: %w", err)
		}
		return encode(f.webSocket(ctx, &ev))
	case at.HTTP != nil && kind.Version == "2.0":
		var ev events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &ev, decodeOptions); err != nil {
			return nil, fmt.Errorf("awslambda: decode the event: %w", err)
		}
		return f.serveHTTP(ctx, &ev)
	}
	return nil, errOther
}

// response is the answer to an event of a WebSocket API.
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
}

func encode(r response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(&r, jsontext.AllowInvalidUTF8(true))
}

// margin is how long before the platform ends the process the context of an event
// ends. Functions that run have a second from then on to return; what is left is to
// tell the client. Where there is little time, it is a third of that.
const margin = 1300 * time.Millisecond

func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(margin, time.Until(end)/3)))
}

// authorizerField is where a request has what the authorizer has said of it, as JSON.
// No client can send a field with this name.
const authorizerField = "kanava:authorizer"

// Authorizer returns what the authorizer of the API has said of a client, for
// Options.Authenticate of the server: for a connection the context of an
// [AuthorizerHandler], or of any other REQUEST authorizer; for a request of an HTTP
// API what its event has, such as {"jwt": {"claims": …}}. nil: there is no
// authorizer.
//
// The values of a context are strings, numbers and booleans, of which the gateway may
// make strings.
func Authorizer(r *kanava.OpenRequest) (said map[string]any) {
	if text := r.Header[authorizerField]; len(text) == 1 {
		_ = json.Unmarshal([]byte(text[0]), &said) // which setAuthorizer has made
	}
	return said
}

// setAuthorizer notes it in the header of a request.
func setAuthorizer(header http.Header, said any) {
	delete(header, authorizerField)
	text, err := json.Marshal(said, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err == nil && len(text) > 0 && text[0] == '{' {
		header[authorizerField] = []string{string(text)}
	}
}
