package awslambda_test

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/awslambda"
	"github.com/kanava-go/kanava/transport/httpfunc"
	"github.com/kanava-go/kanava/transport/ws"
)

type Name struct {
	Name string `json:"name" query:"name"`
}

type Greeting struct {
	Message string `json:"message"`
}

func greet(_ context.Context, ch *kanava.Channel[Name, kanava.None], in Name) (Greeting, error) {
	return Greeting{"Hello, " + in.Name + ", from " + ch.Opening().Name + "!"}, nil
}

// example is a server with one channel, and options for it. A program takes the
// Config from package config of the SDK, and a Store that its processes share, such
// as that of engine/dynamodb.
func example() (*kanava.Server[kanava.None], awslambda.Options) {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[Name, kanava.None]{Name: "hello", Route: "/hello", Public: true, OnMessage: kanava.Func(greet)})
	return srv, awslambda.Options{
		Store: memory.NewStore(),
		Config: aws.Config{
			Region: "eu-north-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
			HTTPClient: doer(func(req *http.Request) (*http.Response, error) { // prints what would go to the gateway
				fmt.Fprintln(os.Stdout, req.Method, req.URL.Path)
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
			}),
		},
	}
}

func ExampleHandler() {
	srv, options := example()
	handler := awslambda.Handler(srv, options) // for lambda.Start(handler)

	for _, event := range []string{
		`{"requestContext":{"eventType":"CONNECT","connectionId":"L0SM9c=","stage":"hello","domainName":"abc.execute-api.eu-north-1.amazonaws.com"},
			"multiValueQueryStringParameters":{"name":["Lambda"]}}`,
		`{"requestContext":{"eventType":"MESSAGE","connectionId":"L0SM9c=","stage":"hello","domainName":"abc.execute-api.eu-north-1.amazonaws.com"},
			"body":"{\"name\":\"Ann\"}"}`,
	} {
		answer, err := handler.Invoke(context.Background(), []byte(event))
		fmt.Println(string(answer), err)
	}
	// Output:
	// {"statusCode":200} <nil>
	// POST /hello/@connections/L0SM9c=
	// {"statusCode":200} <nil>
}

// A channel whose route has a wildcard is found by what the client says in the query.
func ExampleOptions() {
	srv, options := example()
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "rooms", Route: "/rooms/{room}", Public: true})
	options.Path = func(connect *events.APIGatewayWebsocketProxyRequest) string {
		return "/rooms/" + connect.QueryStringParameters["room"]
	}
	options.HTTP = httpfunc.Handler(srv, httpfunc.Options{})
	handler := awslambda.Handler(srv, options)
	answer, err := handler.Invoke(context.Background(),
		[]byte(`{"requestContext":{"eventType":"CONNECT","connectionId":"L0SM9c=","stage":"prod"},"queryStringParameters":{"room":"7"}}`))
	fmt.Println(string(answer), err)
	// Output: {"statusCode":200} <nil>
}

// Who publishes for another reason than an event of the gateway says when all must be
// sent.
func ExampleFunction_Settle() {
	srv, options := example()
	news := kanava.NewTopic[string](srv.EventHub(), "news")
	handler := awslambda.Handler(srv, options)
	everyHour := func(ctx context.Context) error { // for lambda.Start(everyHour)
		if err := news.Publish(ctx, "all", "an hour has passed"); err != nil {
			return err
		}
		return handler.Settle(ctx)
	}
	fmt.Println(everyHour(context.Background()))
	// Output: <nil>
}

// A node that holds connections of its own sends to those of functions, too.
func ExampleReach() {
	srv, options := example()
	awslambda.Reach(srv, options)
	mux := http.NewServeMux()
	mux.Handle("/hello", ws.Handler(srv, ws.Options{}))
	// Output:
}

func ExampleAuthorizerHandler() {
	authorize := awslambda.AuthorizerHandler(func(_ context.Context, r *kanava.OpenRequest) (awslambda.Admission, error) {
		if r.URL.Query().Get("key") != "secret" {
			return awslambda.Admission{}, kanava.Errorf(kanava.CodeUnauthenticated, "the key is wrong")
		}
		return awslambda.Admission{PrincipalID: "ann", Context: map[string]any{"name": "Ann"}}, nil
	}) // for lambda.Start(authorize)

	for _, key := range []string{"secret", "guess"} {
		res, err := authorize(context.Background(), events.APIGatewayCustomAuthorizerRequestTypeRequest{QueryStringParameters: map[string]string{"key": key}})
		fmt.Println(res.PrincipalID, res.Context, err)
	}
	// Output:
	// ann map[name:Ann] <nil>
	//  map[] Unauthorized
}

// Authenticate makes a session of what the authorizer has said.
func ExampleAuthorizer() {
	authenticate := func(_ context.Context, r *kanava.OpenRequest) (*Name, error) {
		name, ok := awslambda.Authorizer(r)["name"].(string)
		if !ok {
			return nil, kanava.Errorf(kanava.CodeUnauthenticated, "sign in first")
		}
		return &Name{name}, nil
	}
	srv := kanava.NewServer(kanava.Options[Name]{Authenticate: authenticate})
	srv.Wire(kanava.Wiring[kanava.None, Name]{Name: "hello", Route: "/hello"})
	_, options := example()
	answer, err := awslambda.Handler(srv, options).Invoke(context.Background(),
		[]byte(`{"requestContext":{"eventType":"CONNECT","connectionId":"L0SM9c=","stage":"hello","authorizer":{"name":"Ann"}}}`))
	fmt.Println(string(answer), err)
	// Output: {"statusCode":200} <nil>
}
