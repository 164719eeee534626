package dashboard

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestMetricsReachThoseWhoMaySeeTheHost(t *testing.T) {
	srv := kanava.NewServer(kanava.Options[Viewer]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*Viewer, error) {
			return &Viewer{"ann", []string{"web1", "web2"}}, nil
		},
		Identify: func(v Viewer) kanava.Identity { return kanava.Identity{UserID: v.ID} },
	})
	app := New(srv.EventHub())
	srv.Wire(app.Channel())

	c := kanavatest.Dial(t, srv, "/board")
	for _, host := range []string{"web1", "web2"} {
		c.Send(map[string]string{"action": "watch", "host": host})
		c.Expect(`{"action":"watch"}`)
	}
	c.SendText(`{"action":"watch","host":"db1"}`)
	c.Expect(`{"action":"watch","error":{"code":"permission_denied","message":"host \"db1\" is not yours"}}`)

	report := func(host string, cpu float64) {
		t.Helper()
		if err := app.Report(t.Context(), Metric{host, cpu}); err != nil {
			t.Fatal(err)
		}
	}
	report("db1", 0.9)
	report("web1", 0.25)
	c.Expect(`{"topic":"metric:web1","data":{"host":"web1","cpu":0.25}}`)

	// Whoever loses a host loses its metrics, and no others.
	c.SendText(`{"action":"renew","id":"ann","hosts":["web2"]}`)
	c.Expect(`{"action":"renew"}`)
	report("web1", 0.5)
	report("web2", 0.75)
	c.Expect(`{"topic":"metric:web2","data":{"host":"web2","cpu":0.75}}`)
	c.ExpectNone()
}
