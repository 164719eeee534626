package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
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

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// bootstrap is the path of the example, which all tests share.
var bootstrap string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kanava-chat-")
	if err != nil {
		panic(err)
	}
	if bootstrap, err = emulate.Build(dir, "../../../../examples/serverless/aws", "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// function is the chat with an empty table.
func function(t testing.TB) emulate.Function {
	t.Helper()
	endpoint := emulate.Dynamo(t)
	client := awsdynamodb.New(awsdynamodb.Options{
		BaseEndpoint: aws.String(endpoint), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err := dynamodb.CreateTable(limit(t), client, "chat"); err != nil {
		t.Fatal(err)
	}
	return emulate.Function{Bootstrap: bootstrap, Env: []string{
		"CHAT_TABLE=chat", "CHAT_SECRET=a secret of the tests, 32 bytes and more", "AWS_ENDPOINT_URL_DYNAMODB=" + endpoint,
	}}
}

// variable is one of the function's environment.
func variable(fn emulate.Function, name string) string {
	for _, v := range fn.Env {
		if n, value, _ := strings.Cut(v, "="); n == name {
			return value
		}
	}
	return ""
}

// token signs somebody in, by the HTTP API.
func token(t testing.TB, gw *emulate.Gateway, user, role string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(limit(t), http.MethodGet, gw.HTTP+"/token?user="+user+"&role="+role, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var out struct {
		Token string `json:"token"`
	}
	if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(body, &out) != nil || out.Token == "" {
		t.Fatalf("GET /token: %d %s, %v", res.StatusCode, body, err)
	}
	return out.Token
}

// plain is a client of the plain form. The emulators keep no order, so it takes what
// comes in any.
type plain struct {
	t    testing.TB
	ws   *websocket.Conn
	came []string // what was read and not taken yet
}

// join connects to a room. The welcome comes with the first answer, since nobody can
// be told anything before it is connected.
func join(t testing.TB, gw *emulate.Gateway, room string) *plain {
	t.Helper()
	ws, _, err := websocket.Dial(limit(t), gw.URL+"?room="+room, nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	c := &plain{t: t, ws: ws}
	c.send(`{"message":"hi"}`)
	c.want(`{"welcome":"Welcome to ` + room + `!"}`)
	c.want(`{"message":"Echo: hi"}`)
	return c
}

func (c *plain) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(limit(c.t), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// want waits for a message that has all these parts, and returns it.
func (c *plain) want(parts ...string) string {
	c.t.Helper()
	fits := func(text string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
	}
	if i := slices.IndexFunc(c.came, fits); i >= 0 {
		text := c.came[i]
		c.came = slices.Delete(c.came, i, i+1)
		return text
	}
	for {
		_, data, err := c.ws.Read(limit(c.t))
		if err != nil {
			c.t.Fatalf("%v while waiting for %q; there is %q", err, parts, c.came)
		}
		if fits(string(data)) {
			return string(data)
		}
		c.came = append(c.came, string(data))
	}
}

// signIn signs a client in.
func (c *plain) signIn(gw *emulate.Gateway, user, role string) {
	c.t.Helper()
	c.send(`{"action":"authenticate","token":"` + token(c.t, gw, user, role) + `"}`)
	c.want(`{"authenticated":true,"action":"authenticate"}`)
}

// nothingElse demands that everything that has come was wanted.
func (c *plain) nothingElse() {
	c.t.Helper()
	c.send(`{"action":"whoami"}`)
	c.want(`"action":"whoami"`)
	if len(c.came) > 0 {
		c.t.Errorf("also came %q", c.came)
	}
}

func limit(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
