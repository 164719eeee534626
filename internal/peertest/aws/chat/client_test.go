package chat

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/e2e/chatclient"
	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// The chat with the generated client, in kanava.v1.
func TestClient(t *testing.T) {
	gateways(t, func(t *testing.T, gw *emulate.Gateway, _ emulate.Function) {
		heard := make(chan chatclient.RoomEvent, 10)
		alice := connect(t, gw, "alice", nil)
		connect(t, gw, "bob", heard)
		if me, err := alice.Whoami(limit(t)); err != nil || me.UserID != "alice" {
			t.Errorf("whoami: %+v, %v", me, err)
		}
		for _, text := range []string{"one", "two", "three"} {
			if sent, err := alice.SendMessage(limit(t), chatclient.Text{Message: text}); err != nil || sent.Message != text {
				t.Fatalf("sendMessage: %+v, %v", sent, err)
			}
			select {
			case ev := <-heard:
				if ev.Message != text || ev.UserID != "alice" {
					t.Errorf("bob heard %+v, want %s", ev, text)
				}
			case <-limit(t).Done():
				t.Fatalf("bob has not heard %q", text)
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
	})
}

// connect signs a generated client in. It hears what is said in the room.
func connect(t *testing.T, gw *emulate.Gateway, user string, heard chan<- chatclient.RoomEvent) *chatclient.Chat {
	t.Helper()
	c, err := chatclient.ConnectChat(gw.URL, chatclient.RoomParams{Room: "general"}, chatclient.ChatOptions{
		Transport: client.WebSocket,
		Timeout:   patience,
		Authenticate: func(ctx context.Context, chat *chatclient.Chat) error {
			_, err := chat.Authenticate(ctx, chatclient.Credentials{Token: token(t, gw, user, "member")})
			return err
		},
		Setup: func(chat *chatclient.Chat) {
			if heard != nil {
				chat.OnRoom("general", func(ev chatclient.RoomEvent) { heard <- ev })
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if welcome, err := c.Opened(limit(t)); err != nil || welcome.Welcome != "Welcome to general!" {
		t.Fatalf("opened: %+v, %v", welcome, err)
	}
	if _, err := c.Whoami(limit(t)); err != nil { // calls wait until it is signed in
		t.Fatal(err)
	}
	return c
}
