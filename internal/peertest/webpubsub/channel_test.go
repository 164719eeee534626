package webpubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/e2e/chatclient"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// This file has the chat of examples/chat on the stand-in, in two processes that
// share what they remember, and nothing else: each event meets the other one.

// chatService is a service whose events the chat takes.
type chatService struct {
	*azure
	tokens *chat.Tokens
}

// newChat starts the chat; around is put around the handler of events, if it is given.
func newChat(t *testing.T, around ...func(http.Handler) http.Handler) *chatService {
	t.Helper()
	s := &chatService{newAzure(t, func(o *standin.Options) { o.Anonymous = true }), chat.NewTokens("a secret", time.Hour)}
	ground, store := memory.New(), memory.NewStore()
	var processes []http.Handler
	for range 2 {
		hub := kanava.NewEventHub(kanava.HubOptions{Engine: ground.Engine(), Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(hub.Close)
		processes = append(processes, webpubsub.Handler(chat.NewServer(hub, s.tokens), webpubsub.Options{
			Store: store, Client: s.client(), Logger: slog.New(slog.DiscardHandler),
		}))
	}
	var turn atomic.Int64
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		processes[turn.Add(1)%2].ServeHTTP(w, r)
	})
	for _, f := range around {
		h = f(h)
	}
	s.SetUpstream(serve(t, h))
	t.Cleanup(s.Close) // before the hubs
	return s
}

// enter connects a client of the plain form to a room.
func (s *chatService) enter(room string) *socket {
	s.t.Helper()
	c := mustDial(s.t, s.url+"/client/hubs/chat?room="+room)
	s.want(c, `{"welcome":"Welcome to `+room+`!"}`)
	return c
}

func (s *chatService) token(user, role string) string {
	s.t.Helper()
	token, err := s.tokens.Issue(user, role)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *chatService) signIn(c *socket, user, role string) {
	s.t.Helper()
	c.send(websocket.MessageText, `{"action":"authenticate","token":"`+s.token(user, role)+`"}`)
	s.want(c, `{"authenticated":true,"action":"authenticate"}`)
}

// want demands that the next frame has all these parts.
func (s *chatService) want(c *socket, parts ...string) {
	s.t.Helper()
	got := c.next()
	if slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(got, part) }) {
		s.t.Errorf("got %s\nwant %q", got, parts)
	}
}

// The chat in the plain form: what one event sets is there in the next.
func TestChatPlain(t *testing.T) {
	s := newChat(t)
	alice, bob, guest := s.enter("general"), s.enter("general"), s.enter("general")
	say := func(c *socket, text string) { c.send(websocket.MessageText, text) }
	say(alice, `{"action":"sendMessage","message":"hello"}`)
	s.want(alice, `"code":"unauthenticated"`, `"action":"sendMessage"`)
	s.signIn(alice, "alice", "member")
	s.signIn(bob, "bob", "admin")
	say(alice, `{"action":"whoami"}`)
	s.want(alice, `{"userId":"alice","role":"member","action":"whoami"}`)
	say(alice, `{"action":"sendMessage","message":"hello"}`)
	s.want(alice, `"message":"hello"`, `"action":"sendMessage"`)
	for _, c := range []*socket{bob, guest} {
		s.want(c, `"topic":"room:general"`, `"message":"hello","userId":"alice"`)
	}
	say(alice, `{"action":"broadcast","room":"general","message":"all"}`)
	s.want(alice, `"code":"permission_denied"`)
	say(bob, `{"action":"broadcast","room":"general","message":"all"}`)
	for _, c := range []*socket{alice, bob, guest} { // the whole room
		s.want(c, `"message":"all","userId":"bob"`)
	}
	s.want(bob, `{"action":"broadcast"}`)
	say(guest, `{"action":"history","limit":2}`)
	s.want(guest, `"action":"history"`, `"message":"hello"`, `"message":"all"`)
	say(guest, `{"action":"who"}`)
	s.want(guest, `{"names":["alice","bob"],"count":2,"action":"who"}`)
	say(alice, `{"action":"process","jobId":"j1"}`)
	s.want(alice, `{"type":"processing","step":"Loading data"}`)
	s.want(alice, `{"type":"processing","step":"Processing"}`)
	s.want(alice, `{"type":"complete","result":{"jobId":"j1","records":6}}`)
	s.want(alice, `{"action":"process"}`)
	say(alice, `{"action":"logout"}`)
	s.want(alice, `{"action":"logout"}`)
	say(alice, `{"action":"sendMessage","message":"hello"}`)
	s.want(alice, `"code":"unauthenticated"`)
	for query, status := range map[string]int{"": 400, "room=": 400, "room=a&channel=/nowhere": 404} {
		if _, got := dial(t, s.url+"/client/hubs/chat?"+query); got != status {
			t.Errorf("%q: refused with %d, not %d", query, got, status)
		}
	}
}

// connect signs a generated client in. It hears what is said in the room.
func (s *chatService) connect(user string, heard chan<- chatclient.RoomEvent) *chatclient.Chat {
	s.t.Helper()
	c, err := chatclient.ConnectChat(s.url+"/client/hubs", chatclient.RoomParams{Room: "general"}, chatclient.ChatOptions{
		Transport: client.WebSocket,
		Timeout:   patience,
		Authenticate: func(ctx context.Context, chat *chatclient.Chat) error {
			_, err := chat.Authenticate(ctx, chatclient.Credentials{Token: s.token(user, "member")})
			return err
		},
		Setup: func(chat *chatclient.Chat) {
			if heard != nil {
				chat.OnRoom("general", func(ev chatclient.RoomEvent) { heard <- ev })
			}
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if welcome, err := c.Opened(limit(s.t)); err != nil || welcome.Welcome != "Welcome to general!" {
		s.t.Fatalf("opened: %+v, %v", welcome, err)
	}
	if _, err := c.Whoami(limit(s.t)); err != nil { // calls wait until it is signed in
		s.t.Fatal(err)
	}
	return c
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// The chat with the generated client, in kanava.v1.
func TestChatClient(t *testing.T) {
	s := newChat(t)
	heard := make(chan chatclient.RoomEvent, 10)
	alice := s.connect("alice", nil)
	s.connect("bob", heard)
	for _, text := range []string{"one", "two", "three"} {
		if sent, err := alice.SendMessage(limit(t), chatclient.Text{Message: text}); err != nil || sent.Message != text {
			t.Fatalf("sendMessage: %+v, %v", sent, err)
		}
		if ev := within(t, "a message", heard); ev.Message != text || ev.UserID != "alice" {
			t.Errorf("bob heard %+v, want %s", ev, text)
		}
	}
	if h, err := alice.History(limit(t), chatclient.Page{Limit: 2}); err != nil || len(h.Events) != 2 || h.Events[1].Message != "three" || !h.Older {
		t.Errorf("history: %+v, %v", h, err)
	}
	if who, err := alice.Who(limit(t)); err != nil || who.Count != 2 {
		t.Errorf("who: %+v, %v", who, err)
	}
	steps := 0
	for step, err := range alice.Process(limit(t), chatclient.Job{JobID: "j1"}) {
		if err != nil {
			t.Errorf("process: %v", err)
		}
		if steps++; steps == 3 {
			if done, ok := step.(chatclient.Complete); !ok || done.Result.Records != 6 {
				t.Errorf("the last step is %+v", step)
			}
		}
	}
	if steps != 3 {
		t.Errorf("%d steps", steps)
	}
	err := alice.Broadcast(limit(t), chatclient.Broadcast{Room: "general", Message: "x"})
	if e, ok := err.(*client.Error); !ok || e.Code != client.CodePermissionDenied {
		t.Errorf("broadcast: %v", err)
	}
}

// 50 clients who all talk at once: none loses an answer or a message, or gets one twice.
func TestChatCrowd(t *testing.T) {
	const clients, each = 50, 2
	s := newChat(t)
	sockets := make([]*socket, clients)
	var all sync.WaitGroup
	for i := range sockets {
		sockets[i] = s.enter("general")
		s.signIn(sockets[i], fmt.Sprint("user", i), "member")
	}
	for i, c := range sockets {
		all.Go(func() {
			for n := range each {
				c.send(websocket.MessageText, fmt.Sprintf(`{"action":"sendMessage","message":"%d.%d"}`, i, n))
			}
		})
		all.Go(func() {
			answers, heard := 0, make(map[string]bool)
			for range each + (clients-1)*each {
				got := c.next()
				if strings.Contains(got, `"action":"sendMessage"`) && !strings.Contains(got, `"error"`) {
					answers++
				} else {
					heard[got] = true
				}
			}
			if answers != each || len(heard) != (clients-1)*each {
				t.Errorf("client %d got %d answers and %d different messages", i, answers, len(heard))
			}
		})
	}
	all.Wait()
}

// said reports whether a request posts this message of a client, and leaves its body.
func said(r *http.Request, text string) bool {
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	r.Body = http.NoBody
	if body.Len() > 0 {
		r.Body = readCloser{&body}
	}
	return r.Header.Get("ce-type") == "azure.webpubsub.user.message" && strings.Contains(body.String(), text)
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// An answer that is lost on its way makes the service send the event again. What it
// asks for is done once, and the client finds out that it does not know what became
// of it: the connection ends.
func TestChatEventComesAgain(t *testing.T) {
	var posts atomic.Int64
	s := newChat(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !said(r, "once") {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			if posts.Add(1) == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	})
	alice, bob := s.enter("general"), s.enter("general")
	s.signIn(alice, "alice", "member")
	alice.send(websocket.MessageText, `{"action":"sendMessage","message":"once"}`)
	if got := alice.next(); got != "end 1011" {
		t.Errorf("alice got %s", got)
	}
	s.want(bob, `"message":"once"`)
	bob.send(websocket.MessageText, `{"action":"whoami"}`)
	s.want(bob, `"action":"whoami"`) // and not the message again
	if n := posts.Load(); n != 2 {
		t.Errorf("the event was posted %d times", n)
	}
}

// Messages may come before the service has told that a connection is open.
func TestChatConnectedComesLate(t *testing.T) {
	spoken := make(chan struct{})
	s := newChat(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("ce-type") == "azure.webpubsub.sys.connected" {
				select {
				case <-spoken:
				case <-r.Context().Done():
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	alice := mustDial(t, s.url+"/client/hubs/chat?room=general")
	alice.send(websocket.MessageText, `{"action":"whoami"}`)
	s.want(alice, `"Welcome to general!"`)
	s.want(alice, `"action":"whoami"`)
	close(spoken)
	alice.send(websocket.MessageText, `{"action":"who"}`)
	s.want(alice, `"action":"who"`) // and no second welcome
}
