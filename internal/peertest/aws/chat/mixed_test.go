package chat

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/awslambda"
)

// A node that lives on, and functions, on one table: what is said on either is heard
// on both, and who is there is known on both.
func TestMixed(t *testing.T) {
	gateways(t, func(t *testing.T, gw *emulate.Gateway, fn emulate.Function) {
		node := newNode(t, gw, fn)
		alice := join(t, gw, "general")
		alice.signIn(gw, "alice", "member")
		bob := kanavatest.Dial(t, node, "/chat?room=general")
		bob.Expect(`{"welcome":"Welcome to general!"}`)
		bob.Send(map[string]string{"action": "authenticate", "token": token(t, gw, "bob", "member")})
		bob.Expect(`{"authenticated":true,"action":"authenticate"}`)
		for i := range 3 {
			alice.send(fmt.Sprintf(`{"action":"sendMessage","message":"to the node %d"}`, i))
			alice.want(`"action":"sendMessage"`)
			if got := kanavatest.Into[struct {
				Data chat.RoomEvent `json:"data"`
			}](bob).Data; got.Message != fmt.Sprint("to the node ", i) || got.UserID != "alice" {
				t.Errorf("bob heard %+v", got)
			}
			bob.Send(map[string]string{"action": "sendMessage", "message": fmt.Sprint("to the function ", i)})
			alice.want(fmt.Sprintf(`"message":"to the function %d","userId":"bob"`, i))
			bob.Next()
		}
		alice.send(`{"action":"who"}`)
		alice.want(`{"names":["alice","bob"],"count":2,"action":"who"}`)
		bob.Send(map[string]string{"action": "who"})
		bob.Expect(`{"names":["alice","bob"],"count":2,"action":"who"}`)
	})
}

// newNode is a server with the chat that holds its connections itself.
func newNode(t *testing.T, gw *emulate.Gateway, fn emulate.Function) *kanava.Server[chat.User] {
	t.Helper()
	cfg := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	db := awsdynamodb.NewFromConfig(cfg, func(o *awsdynamodb.Options) { o.BaseEndpoint = aws.String(variable(fn, "AWS_ENDPOINT_URL_DYNAMODB")) })
	store, err := dynamodb.NewStore(db, variable(fn, "CHAT_TABLE"))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := dynamodb.New(dynamodb.Options{Client: db, Table: variable(fn, "CHAT_TABLE")})
	if err != nil {
		t.Fatal(err)
	}
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: engine})
	t.Cleanup(hub.Close)
	srv := chat.NewServer(hub, chat.NewTokens(variable(fn, "CHAT_SECRET"), 0))
	awslambda.Reach(srv, awslambda.Options{Store: store, Config: cfg, Endpoint: gw.Management})
	return srv
}
