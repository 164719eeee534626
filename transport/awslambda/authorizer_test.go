package awslambda_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/awslambda"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// What an authorizer decides, as API Gateway is told.
func TestAuthorizer(t *testing.T) {
	var got *kanava.OpenRequest
	var say error
	handle := awslambda.AuthorizerHandler(func(_ context.Context, r *kanava.OpenRequest) (awslambda.Admission, error) {
		got = r
		return awslambda.Admission{PrincipalID: "alice", Context: map[string]any{"name": "Alice"}}, say
	})
	var ev events.APIGatewayCustomAuthorizerRequestTypeRequest
	if err := json.Unmarshal(sample(t, "apigw-custom-auth-request-type-request"), &ev); err != nil {
		t.Fatal(err)
	}
	policy := func(effect string) events.APIGatewayCustomAuthorizerPolicy {
		return events.APIGatewayCustomAuthorizerPolicy{Version: "2012-10-17", Statement: []events.IAMPolicyStatement{{
			Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{"arn:aws:execute-api:us-east-1:123456789012:s4x3opwd6i/test/GET/request"},
		}}}
	}
	for _, tt := range []struct {
		proves string
		say    error
		want   events.APIGatewayCustomAuthorizerResponse
		err    string
	}{
		{
			"a client that may connect", nil,
			events.APIGatewayCustomAuthorizerResponse{PrincipalID: "alice", PolicyDocument: policy("Allow"), Context: map[string]any{"name": "Alice"}},
			"",
		},
		{"401", kanava.Errorf(kanava.CodeUnauthenticated, "who are you"), events.APIGatewayCustomAuthorizerResponse{}, "Unauthorized"},
		{"403", kanava.Errorf(kanava.CodePermissionDenied, "not you"), events.APIGatewayCustomAuthorizerResponse{PrincipalID: "client", PolicyDocument: policy("Deny")}, ""},
		{"any other error is 500, and not told", errors.New(hidden), events.APIGatewayCustomAuthorizerResponse{}, "awslambda: the authorizer failed"},
	} {
		say = tt.say
		res, err := handle(t.Context(), ev)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if diff := cmp.Diff(tt.want, res); diff != "" || text != tt.err {
			t.Errorf("%s: error %q, want %q; -want +got\n%s", tt.proves, text, tt.err, diff)
		}
	}
	if got.URL.String() != "/test?QueryString1=queryValue1" || got.Header.Get("HeaderAuth1") != "headerValue1" || got.Host != "....execute-api.us-east-1.amazonaws.com" {
		t.Errorf("the request was %+v", got)
	}
	got, ev.MultiValueHeaders = nil, map[string][]string{"Sec-WebSocket-Protocol": {"kanava.bearer.!"}}
	if _, err := handle(t.Context(), ev); got != nil || err == nil || err.Error() != "Unauthorized" {
		t.Errorf("a malformed credential: %v", err)
	}
}

// What the authorizer has said is there when the client is authenticated, which in
// kanava.v1 is in a later event. No client can say it.
func TestAuthorizerContext(t *testing.T) {
	srv, _ := newServer(t, nil, func(_ context.Context, r *kanava.OpenRequest) (*user, error) {
		name, _ := awslambda.Authorizer(r)["name"].(string)
		if name == "" {
			return nil, kanava.Errorf(kanava.CodeUnauthenticated, "the authorizer has not seen you")
		}
		return &user{name}, nil
	})
	w := newWorld(t, srv, nil)
	for _, field := range []string{"X", "kanava:authorizer", "Kanava:authorizer"} {
		if _, err := w.dial(transporttest.Request{Path: "/?room=one", Headers: map[string]string{field: `{"name":"Mallory"}`}}); err == nil {
			t.Error("a client without an authorizer's word is let in")
		}
	}
	w.authorizer = map[string]any{"name": "Alice", "principalId": "alice"}
	c := w.dialIn("one")
	c.say(`{"action":"whoami"}`)
	c.want(`{"text":"Alice","action":"whoami"}`)

	v1, err := w.dial(transporttest.Request{Path: "/?room=one", Subprotocols: []string{"kanava.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	v1.say(`{"hello":{}}`)
	for range 3 { // open, push, sub
		v1.next()
	}
	v1.say(`{"id":1,"do":"whoami","by":"action"}`)
	v1.want(`{"re":1,"out":{"text":"Alice"}}`)
}
