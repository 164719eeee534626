package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// A client is who the authorizer says, in both forms, whichever process its messages
// meet; and whom that refuses does not get in.
func TestAuthorizer(t *testing.T) {
	bootstrap, err := emulate.Build(t.TempDir(), ".", ".")
	if err != nil {
		t.Fatal(err)
	}
	table := emulate.Dynamo(t)
	client := awsdynamodb.New(awsdynamodb.Options{BaseEndpoint: aws.String(table), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err := dynamodb.CreateTable(t.Context(), client, "guard"); err != nil {
		t.Fatal(err)
	}
	gw := emulate.Offline(t, emulate.Function{Bootstrap: bootstrap, Authorizer: bootstrap, Fresh: true, Env: []string{"AWS_ENDPOINT_URL_DYNAMODB=" + table}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	for token, want := range map[string]int{"bad": http.StatusUnauthorized, "banned": http.StatusForbidden, "broken": http.StatusInternalServerError} {
		ws, res, err := websocket.Dial(ctx, gw.URL+"?token="+token, nil)
		if err == nil {
			ws.CloseNow()
		}
		if res == nil || res.StatusCode != want {
			t.Errorf("the token %s: %v and %v, want %d", token, res, err, want)
		} else if text := fmt.Sprint(res.Header, err); strings.Contains(text, "hidden-detail") {
			t.Errorf("the client was told %s", text)
		}
	}
	for _, form := range []struct {
		subprotocols []string
		says         [][2]string // what the client says, and how the answer begins
	}{
		{nil, [][2]string{{`{}`, `{"name":"Alice"}`}}},
		{[]string{"kanava.v1"}, [][2]string{{`{"hello":{}}`, `{"open":`}, {`{"id":1,"do":"","in":{}}`, `{"re":1,"out":{"name":"Alice"}}`}}},
	} {
		ws, _, err := websocket.Dial(ctx, gw.URL+"?token=good", &websocket.DialOptions{Subprotocols: form.subprotocols})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		for _, said := range form.says {
			if err := ws.Write(ctx, websocket.MessageText, []byte(said[0])); err != nil {
				t.Fatal(err)
			}
			for got := ""; !strings.HasPrefix(got, said[1]); {
				_, data, err := ws.Read(ctx)
				if err != nil {
					t.Fatalf("%v while waiting for %s", err, said[1])
				}
				got = string(data)
			}
		}
	}
}
