// Command guard is a Lambda function to test awslambda's authorizer with: a channel
// whose clients are who its REQUEST authorizer says, and that authorizer, too. It
// keeps its connections in the table guard.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/transport/awslambda"
)

type user struct {
	Name string `json:"name"`
}

type channel = kanava.Channel[kanava.None, user]

func whoami(_ context.Context, ch *channel, _ kanava.None) (user, error) { return ch.Session(), nil }

func authenticate(_ context.Context, r *kanava.OpenRequest) (*user, error) {
	name, ok := awslambda.Authorizer(r)["name"].(string)
	if !ok {
		return nil, kanava.Errorf(kanava.CodeUnauthenticated, "the authorizer has said nothing")
	}
	return &user{name}, nil
}

// authorize knows one token, and some who use others.
func authorize(_ context.Context, r *kanava.OpenRequest) (awslambda.Admission, error) {
	switch r.URL.Query().Get("token") {
	case "good":
		return awslambda.Admission{PrincipalID: "alice", Context: map[string]any{"name": "Alice"}}, nil
	case "banned":
		return awslambda.Admission{}, kanava.Errorf(kanava.CodePermissionDenied, "not you")
	case "broken":
		return awslambda.Admission{}, errors.New("hidden-detail")
	}
	return awslambda.Admission{}, kanava.Errorf(kanava.CodeUnauthenticated, "who are you")
}

func main() {
	cfg := aws.Config{Region: os.Getenv("AWS_REGION"), Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	store, err := dynamodb.NewStore(awsdynamodb.NewFromConfig(cfg, func(o *awsdynamodb.Options) {
		o.BaseEndpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	}), "guard")
	if err != nil {
		log.Fatal(err)
	}
	srv := kanava.NewServer(kanava.Options[user]{Authenticate: authenticate})
	srv.Wire(kanava.Wiring[kanava.None, user]{Name: "guard", Route: "/guard", OnMessage: kanava.Func(whoami)})
	function := awslambda.Handler(srv, awslambda.Options{Store: store, Config: cfg, Endpoint: os.Getenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")})
	authorizer := awslambda.AuthorizerHandler(authorize)

	lambda.Start(func(ctx context.Context, event json.RawMessage) (any, error) {
		var ev events.APIGatewayCustomAuthorizerRequestTypeRequest
		if err := json.Unmarshal(event, &ev); err == nil && ev.Type == "REQUEST" {
			return authorizer(ctx, ev)
		}
		answer, err := function.Invoke(ctx, event)
		return json.RawMessage(answer), err
	})
}
