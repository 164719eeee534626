package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

type (
	mood struct {
		Mood string `json:"mood"`
	}
	lobby = kanava.Channel[kanava.None, user]
)

// newLobby is a server that tells who is in the lobby to all who are there.
func newLobby() *kanava.Server[user] {
	srv := kanava.NewServer(kanava.Options[user]{
		Identify:     func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*user, error) { return &user{r.Token}, nil },
		Logger:       slog.New(slog.DiscardHandler),
	})
	topic := kanava.NewTopic[say](srv.EventHub(), "lobby")
	here := kanava.NewPresence[mood](srv.EventHub(), "lobby")
	srv.Wire(kanava.Wiring[kanava.None, user]{
		Name: "lobby", Route: "/lobby",
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *lobby) (kanava.None, error) {
			if err := here.Join(ctx, ch, "1", mood{"new"}); err != nil {
				return kanava.None{}, err
			}
			return kanava.None{}, topic.Subscribe(ctx, ch, "1")
		}),
		Messages: kanava.By("action",
			kanava.OnDo("mood", func(ctx context.Context, ch *lobby, in mood) error { return here.Join(ctx, ch, "1", in) }),
			kanava.OnDo("leaveTopic", func(ctx context.Context, ch *lobby, _ kanava.None) error { return topic.Unsubscribe(ctx, ch, "1") }),
		),
		Declares: []kanava.Declared{topic, here},
	})
	return srv
}

// Who is there, from a real server, by both transports: who comes, changes and
// goes, more than are told one by one, the list of them, and after it.
func TestPresenceOfServer(t *testing.T) {
	for _, by := range []client.Transport{client.WebSocket, client.ServerSentEvents} {
		t.Run(string(by), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, front := newLobby(), newPipes()
				stop := front.serve(ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}))
				tr := &http.Transport{DialContext: front.dial}
				var got []client.Presence[mood]
				enter := func(name string, setup func(*chat)) *chat {
					c, err := client.Connect(client.Spec{Path: "/lobby"}, "http://front.test", nil, options{
						Transport: by, HTTPClient: &http.Client{Transport: tr}, Setup: setup,
						Token: func(context.Context) (string, error) { return name, nil },
					}, func(c *client.Conn) *chat { return &chat{c} })
					if err != nil {
						t.Fatal(err)
					}
					if _, err := client.Opened[kanava.None](t.Context(), c.Conn); err != nil {
						t.Fatal(err)
					}
					return c
				}
				leave := func(c *chat) {
					c.Close()
					<-c.Done()
				}
				settle := func() client.Presence[mood] {
					time.Sleep(time.Second)
					synctest.Wait()
					return got[len(got)-1]
				}
				ids := func(list []client.Member[mood]) (names []string) {
					for _, m := range list {
						names = append(names, m.ID)
					}
					return names
				}
				ann := enter("ann", func(c *chat) {
					client.OnPresence(c.Conn, "lobby", "1", func(p client.Presence[mood]) { got = append(got, p) })
				})
				if p := settle(); p.Count != 1 || !p.Listed || !slices.Equal(ids(p.Members), []string{"ann"}) {
					t.Errorf("%+v", p)
				}
				bob := enter("bob", nil)
				if p := settle(); p.Count != 2 || !slices.Equal(ids(p.Joined), []string{"bob"}) || p.Joined[0].Data.Mood != "new" {
					t.Errorf("%+v", p)
				}
				if err := client.Do(t.Context(), bob.Conn, "", "mood", mood{"glad"}); err != nil {
					t.Fatal(err)
				}
				if p := settle(); len(p.Joined)+len(p.Left) > 0 || p.Members[1] != (client.Member[mood]{ID: "bob", Connections: 1, Data: mood{"glad"}}) {
					t.Errorf("%+v", p)
				}
				leave(bob)
				time.Sleep(6 * time.Second)
				if p := settle(); p.Count != 1 || !slices.Equal(ids(p.Left), []string{"bob"}) || p.Left[0].Data.Mood != "glad" {
					t.Errorf("%+v", p)
				}
				var crowd []*chat
				for i := range 210 {
					crowd = append(crowd, enter(fmt.Sprintf("m%03d", i), nil))
				}
				if p := settle(); p.Count != 211 || p.Listed || p.Members != nil {
					t.Errorf("%+v", p)
				}
				var all []string
				for m, err := range client.Members[mood](t.Context(), ann.Conn, "lobby:1") {
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, m.ID)
				}
				if len(all) != 211 || !slices.IsSorted(all) {
					t.Errorf("%d members: %v", len(all), all)
				}
				for _, c := range crowd[10:] {
					leave(c)
				}
				time.Sleep(6 * time.Second)
				if p := settle(); p.Count != 11 || !p.Listed || len(p.Members) != 11 || len(p.Joined)+len(p.Left) > 0 {
					t.Errorf("%+v", p)
				}
				if err := client.Do(t.Context(), ann.Conn, "", "leaveTopic", nil); err != nil {
					t.Fatal(err)
				}
				if p := settle(); p.Count != 0 || !p.Listed || len(p.Left) != 11 {
					t.Errorf("%+v", p)
				}
				for _, err := range client.Members[mood](t.Context(), ann.Conn, "lobby:1") {
					if codeOf(err) != client.CodeNotFound {
						t.Error(err)
					}
				}
				for _, c := range append(crowd[:10], ann) {
					leave(c)
				}
				tr.CloseIdleConnections()
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				stop()
				time.Sleep(time.Minute)
			})
		})
	}
}
