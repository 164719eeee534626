package tenant

import (
	"errors"
	"net/url"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func verify(token string) (User, error) {
	switch token {
	case "ann":
		return User{ID: "ann", Tenant: "acme", Roles: []string{"admin"}}, nil
	case "bob":
		return User{ID: "bob", Tenant: "acme"}, nil
	case "eve":
		return User{ID: "eve", Tenant: "globex"}, nil
	}
	return User{}, errors.New("the signature is wrong")
}

func start() *kanava.Server[User] {
	return serve(verify, func(t Tenant) bool { return t == "globex" })
}

func dial(t *testing.T, srv *kanava.Server[User], host, token string) (*kanavatest.Client, error) {
	t.Helper()
	return kanavatest.DialRequest(t, srv, &kanava.OpenRequest{URL: &url.URL{Path: "/office"}, Host: host, Token: token})
}

func mustDial(t *testing.T, srv *kanava.Server[User], host, token string) *kanavatest.Client {
	t.Helper()
	c, err := dial(t, srv, host, token)
	if err != nil {
		t.Fatal(err)
	}
	c.ExpectNone() // OnConnect has returned
	return c
}

func TestOnlyTheTenantsOwnUsersAreAdmitted(t *testing.T) {
	srv := start()
	for _, tc := range []struct {
		name, host, token string
		code              kanava.Code
	}{
		{"own user", "acme.example.com", "ann", ""},
		{"another tenant's user", "acme.example.com", "eve", kanava.CodePermissionDenied},
		{"a forged token", "acme.example.com", "x", kanava.CodeUnauthenticated},
		{"nobody yet", "acme.example.com", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dial(t, srv, tc.host, tc.token)
			e, _ := errors.AsType[*kanava.Error](err)
			if (e == nil) != (tc.code == "") || e != nil && e.Code != tc.code {
				t.Errorf("got %v, want code %q", err, tc.code)
			}
		})
	}

	c := mustDial(t, srv, "acme.example.com", "")
	c.SendText(`{"action":"auth","token":"eve"}`)
	c.Expect(`{"action":"auth","error":{"code":"permission_denied","message":"other tenant"}}`)
	c.SendText(`{"action":"auth","token":"bob"}`)
	c.Expect(`{"action":"auth"}`)
}

func TestNotesStayWithTheTenant(t *testing.T) {
	srv := start()
	ann, bob := mustDial(t, srv, "acme.example.com", "ann"), mustDial(t, srv, "acme.example.com", "bob")
	eve := mustDial(t, srv, "globex.example.com", "eve")
	ann.SendText(`{"action":"post","text":"hi"}`)
	ann.Expect(`{"topic":"note:acme","data":{"text":"hi"}}`)
	ann.Expect(`{"action":"post"}`)
	bob.Expect(`{"topic":"note:acme","data":{"text":"hi"}}`)
	eve.ExpectNone()
	eve.SendText(`{"action":"post","text":"hi"}`)
	eve.Expect(`{"action":"post","error":{"code":"unavailable","message":"this account is frozen"}}`)
}

func TestAnAdministratorThrowsAUserOut(t *testing.T) {
	srv := start()
	ann, bob := mustDial(t, srv, "acme.example.com", "ann"), mustDial(t, srv, "acme.example.com", "bob")
	bob.SendText(`{"action":"kick","userId":"ann"}`)
	bob.Expect(`{"action":"kick","error":{"code":"permission_denied","message":"this needs a permission that the session does not have"}}`)
	ann.SendText(`{"action":"kick","userId":"bob"}`)
	ann.Expect(`{"action":"kick"}`)
	if reason := bob.ExpectClose(kanava.CloseForbidden); reason != "kicked" {
		t.Errorf("reason %q", reason)
	}
}
