package doc

import (
	"context"
	"net/url"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func serve() *kanava.Server[User] {
	roles := map[string]string{"ann": "editor", "bob": "editor", "eve": "reader"}
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) {
			return &User{r.Token, roles[r.Token]}, nil
		},
		Identify: func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	srv.Wire(New(srv.EventHub()).Channel())
	return srv
}

func dial(t *testing.T, srv *kanava.Server[User], doc, token string) *kanavatest.Client {
	t.Helper()
	c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{URL: &url.URL{Path: "/doc/" + doc}, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	c.Expect(`{"rev":0}`)
	return c
}

func TestEditsReachTheOthers(t *testing.T) {
	srv := serve()
	ann, bob, eve := dial(t, srv, "plan", "ann"), dial(t, srv, "plan", "bob"), dial(t, srv, "plan", "eve")
	other := dial(t, srv, "diary", "bob")

	ann.SendText(`{"action":"apply","pos":3,"text":"x","note":"why"}`)
	ann.Expect(`{"action":"apply","rev":1}`)
	bob.Expect(`{"topic":"doc:plan","data":{"pos":3,"text":"x","note":"why"}}`)
	eve.Expect(`{"topic":"doc:plan","data":{"pos":3,"text":"x"}}`)
	ann.ExpectNone()
	other.ExpectNone()
}

func TestWhoIsHere(t *testing.T) {
	srv := serve()
	ann := dial(t, srv, "plan", "ann")
	dial(t, srv, "plan", "eve")
	dial(t, srv, "diary", "bob")
	ann.SendText(`{"action":"who"}`)
	ann.Expect(`{"action":"who","result":["ann, editor","eve, reader"]}`)
}

func TestInsertAtTheCursor(t *testing.T) {
	srv := serve()
	ann, bob := dial(t, srv, "plan", "ann"), dial(t, srv, "plan", "bob")
	for i, pos := range []string{"0", "7"} {
		if i > 0 {
			ann.SendText(`{"action":"move","pos":` + pos + `}`)
			ann.Expect(`{"action":"move"}`)
		}
		ann.SendText(`"x"`)
		ann.Expect([]string{`{"rev":1}`, `{"rev":2}`}[i])
		bob.Expect(`{"topic":"doc:plan","data":{"pos":` + pos + `,"text":"x"}}`)
	}
}

func TestEditsAreChecked(t *testing.T) {
	c := dial(t, serve(), "plan", "ann")
	c.SendText(`{"action":"apply","pos":-1,"text":"x"}`)
	c.Expect(`{"action":"apply","error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/pos","message":"must be at least 0"}]}}`)
}
