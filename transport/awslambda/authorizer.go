package awslambda

import (
	"context"
	"errors"
	"log/slog"
	"net/url"

	"github.com/aws/aws-lambda-go/events"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// Admission is what an authorizer says of a client that may connect.
type Admission struct {
	// PrincipalID says who the client is, for the gateway's logs. "" is "client".
	PrincipalID string
	// Context is what [Authorizer] returns for the connection: strings, numbers and
	// booleans.
	Context map[string]any
}

// AuthorizeFunc decides whether a client may connect. An error with
// kanava.CodeUnauthenticated refuses it with 401, one with
// kanava.CodePermissionDenied with 403, and any other with 500; the text is told to
// nobody.
type AuthorizeFunc func(ctx context.Context, r *kanava.OpenRequest) (Admission, error)

// errUnauthorized is the one text by which API Gateway answers 401:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
var errUnauthorized = errors.New("Unauthorized")

var errAuthorizer = errors.New("awslambda: the authorizer failed")

// AuthorizerHandler returns the handler of a function that is the REQUEST authorizer
// of $connect:
//
//	lambda.Start(awslambda.AuthorizerHandler(authorize))
//
// It runs before the channel's function, which clients that it refuses do not reach.
// The path of the request's URL is that of the stage, "/chat".
func AuthorizerHandler(authorize AuthorizeFunc) func(context.Context, events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
	if authorize == nil {
		panic("awslambda: AuthorizerHandler has no AuthorizeFunc")
	}
	return func(ctx context.Context, ev events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
		ctx, cancel := withMargin(ctx)
		defer cancel()
		req, malformed := authorizerRequest(&ev)
		if malformed != nil {
			return events.APIGatewayCustomAuthorizerResponse{}, errUnauthorized
		}
		admission, err := authorize(ctx, req)
		if err == nil {
			return policy(&ev, "Allow", admission), nil
		}
		var e *kanava.Error
		switch errors.As(err, &e); {
		case e != nil && e.Code == kanava.CodeUnauthenticated:
			return events.APIGatewayCustomAuthorizerResponse{}, errUnauthorized
		case e != nil && e.Code == kanava.CodePermissionDenied:
			return policy(&ev, "Deny", Admission{}), nil
		}
		slog.ErrorContext(ctx, "awslambda: the authorizer failed", "error", err)
		return events.APIGatewayCustomAuthorizerResponse{}, errAuthorizer
	}
}

// policy allows or denies what was asked for, which is $connect of one stage.
func policy(ev *events.APIGatewayCustomAuthorizerRequestTypeRequest, effect string, a Admission) events.APIGatewayCustomAuthorizerResponse {
	if a.PrincipalID == "" {
		a.PrincipalID = "client"
	}
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: a.PrincipalID,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{ev.MethodArn}}},
		},
		Context: a.Context,
	}
}

func authorizerRequest(ev *events.APIGatewayCustomAuthorizerRequestTypeRequest) (*kanava.OpenRequest, *kanava.Error) {
	return openrequest.WebSocket(handshake(&url.URL{Path: "/" + ev.RequestContext.Stage}, &events.APIGatewayWebsocketProxyRequest{
		Headers: ev.Headers, MultiValueHeaders: ev.MultiValueHeaders,
		QueryStringParameters: ev.QueryStringParameters, MultiValueQueryStringParameters: ev.MultiValueQueryStringParameters,
		RequestContext: events.APIGatewayWebsocketProxyRequestContext{Identity: events.APIGatewayRequestIdentity{SourceIP: ev.RequestContext.Identity.SourceIP}},
	}))
}
