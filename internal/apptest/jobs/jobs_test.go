package jobs

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func as(u *User) func(context.Context, *kanava.OpenRequest) (*User, error) {
	return func(context.Context, *kanava.OpenRequest) (*User, error) { return u, nil }
}

func TestStartAndWatch(t *testing.T) {
	c := kanavatest.Dial(t, serve(as(&User{"ann", []string{"jobs:start"}})), "/jobs")
	c.SendText(`{"action":"start","name":"import"}`)
	c.Expect(`{"action":"start","id":"ann/import"}`)
	c.SendText(`{"action":"watch","id":"ann/import"}`)
	c.Expect(`{"percent":0}`)
	c.Expect(`{"percent":50}`)
	c.Expect(`{"percent":100}`)
	c.Expect(`{"action":"watch"}`)
}

func TestStartNeedsItsPermission(t *testing.T) {
	for _, tc := range []struct {
		name string
		user *User
		code string
	}{
		{"nobody", nil, `"unauthenticated","message":"sign in first"`},
		{"another", &User{"bob", nil}, `"permission_denied","message":"this needs a permission that the session does not have"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := kanavatest.Dial(t, serve(as(tc.user)), "/jobs")
			c.SendText(`{"action":"start","name":"import"}`)
			c.Expect(`{"action":"start","error":{"code":` + tc.code + `}}`)
		})
	}
}

// Plain functions are called as any other.
func TestFunctionsByThemselves(t *testing.T) {
	a := &App{}
	if got, err := a.Start(t.Context(), Start{"import"}); got.ID != "/import" || err != nil {
		t.Errorf("Start without a session: %v, %v", got, err)
	}
	out, record := kanavatest.NewStream[Progress](t)
	if err := a.Watch(t.Context(), Watch{}, out); err != nil || len(record.Sent()) != 3 {
		t.Errorf("Watch: %v, %v", record.Sent(), err)
	}
}
