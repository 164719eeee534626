package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	management "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// order is what a message asks for.
type order struct {
	Do   string `json:"do"`   // see message
	To   string `json:"to"`   // a connection
	Text string `json:"text"` // for it, or to be returned
}

// result is what the function posts to the connection that has sent an order.
type result struct {
	Connection string `json:"connection"`
	Route      string `json:"route"`
	Process    int    `json:"process"` // its id
	Event      int    `json:"event"`   // the number of the event in the process
	Text       string `json:"text,omitempty"`
	Status     int    `json:"status,omitempty"` // of the management API's answer
	Code       string `json:"code,omitempty"`   // of its error
}

// gateway is the management API.
var gateway = management.New(management.Options{
	BaseEndpoint:     aws.String(os.Getenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")),
	Region:           os.Getenv("AWS_REGION"),
	Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
	RetryMaxAttempts: 1, // the test shall see each answer
})

func message(ctx context.Context, e event) (any, error) {
	var o order
	if err := json.Unmarshal([]byte(e.Body), &o); err != nil {
		return nil, err
	}
	self := e.RequestContext.ConnectionID
	r := result{Connection: self, Route: e.RequestContext.RouteKey, Process: os.Getpid(), Event: number}
	done := events.APIGatewayProxyResponse{StatusCode: http.StatusOK}
	switch o.Do {
	case "echo":
		r.Text = o.Text
	case "post":
		r.Status, r.Code = call(post(ctx, o.To, []byte(o.Text)))
	case "get":
		out, err := gateway.GetConnection(ctx, &management.GetConnectionInput{ConnectionId: &o.To})
		r.Status, r.Code = call(err)
		if err == nil {
			r.Text = aws.ToTime(out.ConnectedAt).UTC().Format("2006")
		}
	case "delete":
		_, err := gateway.DeleteConnection(ctx, &management.DeleteConnectionInput{ConnectionId: &o.To})
		r.Status, r.Code = call(err)
	case "return":
		done.Body = o.Text
		return done, nil
	case "fail":
		return nil, errors.New(o.Text)
	case "refuse":
		done.StatusCode = http.StatusInternalServerError
		return done, nil
	case "exit":
		os.Exit(3)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return done, post(ctx, self, text)
}

func post(ctx context.Context, to string, data []byte) error {
	_, err := gateway.PostToConnection(ctx, &management.PostToConnectionInput{ConnectionId: &to, Data: data})
	return err
}

// call returns the status and the code of an error of the management API; the
// code is empty where there was no error.
func call(err error) (status int, code string) {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	if res, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = res.HTTPStatusCode()
	}
	return status, code
}
