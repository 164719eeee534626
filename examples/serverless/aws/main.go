// The chat of examples/chat without a server: on AWS Lambda, behind API Gateway, with
// all that it has to remember in a table of DynamoDB. README.md says how to deploy it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/transport/awslambda"
)

func main() {
	handler, err := newHandler(context.Background())
	if err != nil {
		log.Fatal("chat: ", err)
	}
	lambda.Start(handler)
}

// session is how long people are signed in before they have to show who they are again.
const session = time.Hour

// newHandler puts the chat together, as the environment says: CHAT_TABLE is the table,
// CHAT_SECRET signs tokens, and CHAT_ORIGINS are pages that may connect, separated by
// spaces. It touches no network.
func newHandler(ctx context.Context) (*awslambda.Function, error) {
	table, secret := os.Getenv("CHAT_TABLE"), os.Getenv("CHAT_SECRET")
	if table == "" || len(secret) < 32 {
		return nil, errors.New("CHAT_TABLE names the table, and CHAT_SECRET, of at least 32 bytes, signs the tokens of all processes")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("configuration of AWS: %w", err)
	}
	db := awsdynamodb.NewFromConfig(cfg)
	store, err := dynamodb.NewStore(db, table)
	if err != nil {
		return nil, err
	}
	events, err := dynamodb.New(dynamodb.Options{Client: db, Table: table})
	if err != nil {
		return nil, err
	}
	tokens := chat.NewTokens(secret, session)
	srv := chat.NewServer(kanava.NewEventHub(kanava.HubOptions{Engine: events}), tokens, strings.Fields(os.Getenv("CHAT_ORIGINS"))...)
	web := http.NewServeMux()
	web.Handle("GET /token", tokens)
	return awslambda.Handler(srv, awslambda.Options{Store: store, Config: cfg, HTTP: web}), nil
}
