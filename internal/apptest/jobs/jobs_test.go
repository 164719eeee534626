package jobs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/httpfunc"
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

// The same two values over HTTP.
func TestStartAndWatchOverHTTP(t *testing.T) {
	ask := func(u *User, method, target, body string) (int, string) {
		t.Helper()
		rec := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		httpfunc.Handler(serve(as(u)), httpfunc.Options{}).ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	ann := &User{"ann", []string{"jobs:start"}}
	for _, tc := range []struct {
		name         string
		user         *User
		method, path string
		body         string
		status       int
		want         string
	}{
		{"start", ann, http.MethodPost, "/jobs", `{"name":"import"}`, 200, `{"id":"ann/import"}`},
		{"nobody", nil, http.MethodPost, "/jobs", `{"name":"import"}`, 401, `{"error":{"code":"unauthenticated","message":"sign in first"}}`},
		{"another", &User{"bob", nil}, http.MethodPost, "/jobs", `{"name":"import"}`, 403, `{"error":{"code":"permission_denied","message":"this needs a permission that the session does not have"}}`},
		{"watch", ann, http.MethodGet, "/jobs/1/events", "", 200, "data: {\"percent\":0}\n\ndata: {\"percent\":50}\n\ndata: {\"percent\":100}\n\nevent: end\ndata: {}\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status, got := ask(tc.user, tc.method, tc.path, tc.body); status != tc.status || got != tc.want {
				t.Errorf("%d %s\nwant %d %s", status, got, tc.status, tc.want)
			}
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
