// Command probe is a Lambda function of a few lines that does what a message
// asks for, to test package emulate with: no part of Kanava is in it. It shows
// each event to a witness, the test, and waits for that before it goes on.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(handle)
}

// event is what API Gateway sends: of a WebSocket API, of an HTTP API, or to an
// authorizer.
type event struct {
	Type                  string            `json:"type"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters"`
	Body                  string            `json:"body"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
	MethodArn             string            `json:"methodArn"`
	RequestContext        struct {
		RouteKey     string `json:"routeKey"`
		EventType    string `json:"eventType"`
		ConnectionID string `json:"connectionId"`
		HTTP         *struct {
			Method string `json:"method"`
			Path   string `json:"path"`
		} `json:"http"`
	} `json:"requestContext"`
}

// number is how many events this process has had.
var number int

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	number++
	if err := show(ctx, raw); err != nil {
		return nil, err
	}
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	switch at := e.RequestContext; {
	case e.Type == "REQUEST":
		return authorize(e)
	case at.HTTP != nil:
		if body, err := base64.StdEncoding.DecodeString(e.Body); err == nil && e.IsBase64Encoded {
			e.Body = string(body)
		}
		return events.APIGatewayV2HTTPResponse{
			StatusCode: http.StatusAccepted,
			Headers:    map[string]string{"Content-Type": "text/plain", "X-Route": at.RouteKey},
			Body:       at.HTTP.Method + " " + at.HTTP.Path + " " + e.Body,
			Cookies:    []string{}, // the sandbox dies of null
		}, nil
	case at.EventType == "CONNECT":
		return connect(e), nil
	case at.EventType == "MESSAGE":
		return message(ctx, e)
	default:
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, nil
	}
}

// show shows an event to the witness, if there is one.
func show(ctx context.Context, raw []byte) error {
	witness := os.Getenv("PROBE_WITNESS")
	if witness == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, witness, bytes.NewReader(raw)) //nolint:gosec // the test says where
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req) //nolint:gosec // the test says where
	if err != nil {
		return fmt.Errorf("show the event: %w", err)
	}
	return res.Body.Close()
}

// connect takes every connection but those with a refusal in the URL, and asks
// for the subprotocol that the URL names.
func connect(e event) events.APIGatewayProxyResponse {
	if e.QueryStringParameters["refuse"] != "" {
		return events.APIGatewayProxyResponse{StatusCode: http.StatusForbidden}
	}
	res := events.APIGatewayProxyResponse{StatusCode: http.StatusOK}
	if protocol := e.QueryStringParameters["protocol"]; protocol != "" {
		res.Headers = map[string]string{"Sec-WebSocket-Protocol": protocol}
	}
	return res
}

// authorize takes the token "good".
func authorize(e event) (any, error) {
	if e.QueryStringParameters["token"] != "good" {
		return nil, errors.New("Unauthorized") // exactly this text makes API Gateway answer 401
	}
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: "alice",
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: "Allow", Resource: []string{e.MethodArn}}},
		},
		Context: map[string]any{"name": "Alice"},
	}, nil
}
