package webpubsub_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

var keys = [2]string{"primary-key-primary-key-primary-key-primary", "secondary-key-secondary-key-secondary-key-se"}

// azure is the stand-in, with a tape on which all HTTP between it and a program is.
type azure struct {
	t *testing.T
	*standin.Service
	url, host string

	mu    sync.Mutex
	tape  []standin.Exchange // guarded by mu
	names map[string]string  // guarded by mu: of connections, by id
}

func newAzure(t *testing.T, change ...func(*standin.Options)) *azure {
	t.Helper()
	a := &azure{t: t, names: map[string]string{}}
	o := standin.Options{Keys: keys, Observe: a.observe, Waits: []time.Duration{10 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond}}
	for _, f := range change {
		f(&o)
	}
	a.Service = standin.New(o)
	srv := httptest.NewServer(a.Service)
	t.Cleanup(srv.Close)
	t.Cleanup(a.Close) // before the server
	a.url, a.host = srv.URL, strings.TrimPrefix(srv.URL, "http://")
	return a
}

// observe gives connections names in the order in which they are asked for.
func (a *azure) observe(x standin.Exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tape = append(a.tape, x)
	if id := header(x, "ce-connectionId"); id != "" && a.names[id] == "" {
		a.names[id] = fmt.Sprintf("c%d", len(a.names)+1)
	}
}

func (a *azure) connectionString() string {
	return "Endpoint=" + a.url + ";AccessKey=" + keys[0] + ";Version=1.0;"
}

// client returns our client of the REST API.
func (a *azure) client(change ...func(*webpubsub.ClientOptions)) *webpubsub.Client {
	a.t.Helper()
	o := webpubsub.ClientOptions{Endpoint: a.url, Hub: "chat", AccessKey: keys[0]}
	for _, f := range change {
		f(&o)
	}
	c, err := webpubsub.NewClient(o)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// address returns where a client connects to, with more in its query.
func (a *azure) address(access webpubsub.Access, query string) string {
	a.t.Helper()
	u, err := a.client().ClientURL(a.t.Context(), access)
	if err != nil {
		a.t.Fatal(err)
	}
	return u + "&" + query
}

// socket is a WebSocket that knows nothing of Web PubSub.
type socket struct {
	*websocket.Conn
	t    *testing.T
	text chan string // frames as "text hello", and as the last "end 1000 reason"
}

// dial opens a WebSocket, or returns the status that refuses it.
func dial(t *testing.T, address string, subprotocols ...string) (*socket, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, res, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: subprotocols})
	if err != nil {
		if res == nil {
			t.Fatal(err)
		}
		return nil, res.StatusCode
	}
	c.SetReadLimit(2 << 20)
	s := &socket{c, t, make(chan string, 10000)}
	read := make(chan struct{})
	t.Cleanup(func() {
		_ = c.CloseNow()
		<-read
	})
	go func() {
		defer close(read)
		defer close(s.text)
		for {
			kind, b, err := c.Read(context.Background())
			if err != nil {
				s.text <- fmt.Sprintf("end %d", websocket.CloseStatus(err))
				return
			}
			s.text <- strings.ToLower(kind.String()[len("Message"):]) + " " + string(b)
		}
	}()
	return s, 0
}

// must is dial that is not refused.
func mustDial(t *testing.T, address string, subprotocols ...string) *socket {
	t.Helper()
	s, status := dial(t, address, subprotocols...)
	if status != 0 {
		t.Fatalf("refused with %d", status)
	}
	return s
}

func (s *socket) send(kind websocket.MessageType, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.Write(ctx, kind, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() string {
	s.t.Helper()
	return within(s.t, "a frame", s.text)
}

// The tape. What has to differ between two runs is made the same: ids of
// connections and of requests, addresses, times, and what is in tokens but their
// claims' names and lifetime.

// played returns what was said, REST or events, one text an exchange: calls in
// their order, and events in that of their connections and ids, because nobody
// waits for some of them.
func (a *azure) played(events bool) []string {
	if events {
		a.Close() // the last ones are on the tape then
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	tape := slices.Clone(a.tape)
	if events {
		slices.SortStableFunc(tape, func(x, y standin.Exchange) int {
			return cmp.Or(
				cmp.Compare(a.names[header(x, "ce-connectionId")], a.names[header(y, "ce-connectionId")]),
				cmp.Compare(header(x, "ce-id"), header(y, "ce-id")))
		})
	}
	var all []string
	for _, x := range tape {
		switch {
		case x.Event != events:
		case events:
			all = append(all, a.named(playedEvent(x)))
		default:
			all = append(all, a.named(a.playedCall(x)))
		}
	}
	return all
}

// header is a field of a request, under the name that its sender writes.
func header(x standin.Exchange, name string) string { return strings.Join(x.Header[name], "") }

func (a *azure) named(s string) string {
	for id, name := range a.names {
		s = strings.ReplaceAll(s, id, name)
	}
	return strings.ReplaceAll(s, a.host, "HOST")
}

var signatures = regexp.MustCompile(`sha256=[0-9a-f]{64}`)

// playedEvent is what the service posts, and the handler's answer. Microsoft
// documents 204, and 200 without a body, as the same: nothing to say. It does not
// document a type for the text of a refusal.
func playedEvent(x standin.Exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", x.Method, x.URL[strings.LastIndexByte(x.URL, '/'):])
	for _, name := range sortedKeys(x.Header) {
		if name != "ce-time" {
			fmt.Fprintf(&b, "%s: %s\n", name, signatures.ReplaceAllString(strings.Join(x.Header[name], " | "), "sha256=S"))
		}
	}
	if !strings.Contains(header(x, "ce-type"), "sys.connect") {
		fmt.Fprintf(&b, "%q\n", x.Body) // that of connect has the client's random fields
	}
	switch {
	case x.Status/100 == 2 && len(x.Answer) == 0:
		b.WriteString("=> success, nothing to say\n")
	case x.Status/100 == 2:
		fmt.Fprintf(&b, "=> %d %s\n", x.Status, x.AnswerHeader.Get("Content-Type"))
	default:
		fmt.Fprintf(&b, "=> %d\n", x.Status)
	}
	for _, name := range []string{"ce-connectionState", "WebHook-Allowed-Origin"} {
		if values := x.AnswerHeader.Values(name); len(values) > 0 {
			fmt.Fprintf(&b, "%s: %q\n", name, values)
		}
	}
	fmt.Fprintf(&b, "%q", x.Answer)
	return b.String()
}

// playedCall is a call of the REST API, and the answer. Of the fields those that
// the API defines.
func (a *azure) playedCall(x standin.Exchange) string {
	u, err := url.Parse(x.URL)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ? %s\n", x.Method, u.EscapedPath(), u.Query().Encode())
	fmt.Fprintf(&b, "Content-Type: %s\nAccept: %s\n", x.Header.Get("Content-Type"), x.Header.Get("Accept"))
	fmt.Fprintf(&b, "Authorization: %s\n", tokenShape(x.Header.Get("Authorization"), x.URL))
	fmt.Fprintf(&b, "%q\n=> %d %s %q", x.Body, x.Status, x.AnswerHeader.Get("X-Ms-Error-Code"), x.Answer)
	return b.String()
}

// tokenShape says what a token is like, without what is secret or random in it.
func tokenShape(authorization, audience string) string {
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(authorization, "Bearer "), claims)
	if err != nil {
		return err.Error()
	}
	aud := "another address"
	if claims["aud"] == audience {
		aud = "this address"
	}
	exp, _ := claims["exp"].(float64)
	iat, _ := claims["iat"].(float64)
	for _, name := range []string{"exp", "iat", "aud"} {
		delete(claims, name)
	}
	rest, _ := json.Marshal(claims) // sorts
	return fmt.Sprintf("%v for %s, %v s, %s", token.Header["alg"], aud, exp-iat, rest)
}

func sortedKeys(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sort.Strings(names)
	return slices.Compact(names)
}
