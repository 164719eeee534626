package dashboard

import (
	"context"
	"slices"

	"github.com/kanava-go/kanava"
)

type Viewer struct {
	ID    string   `json:"id"`
	Hosts []string `json:"hosts"`
}

type Board = kanava.Channel[kanava.None, Viewer]

type (
	Metric struct {
		Host string  `json:"host"`
		CPU  float64 `json:"cpu"`
	}
	Watch struct {
		Host string `json:"host" minLength:"1"`
	}
)

type App struct{ Metrics *kanava.Topic[Metric] }

func maySee(_ context.Context, v Viewer, host string) error {
	if !slices.Contains(v.Hosts, host) {
		return kanava.Errorf(kanava.CodePermissionDenied, "host %q is not yours", host)
	}
	return nil
}

func New(hub *kanava.EventHub) *App {
	return &App{kanava.NewTopic[Metric](hub, "metric", kanava.MaySubscribe(maySee))}
}

func (a *App) Watch(ctx context.Context, ch *Board, in Watch) error {
	return a.Metrics.Subscribe(ctx, ch, in.Host)
}

func (a *App) Renew(ctx context.Context, ch *Board, in Viewer) error { return ch.SetSession(ctx, in) }

func (a *App) Report(ctx context.Context, m Metric) error { return a.Metrics.Publish(ctx, m.Host, m) }

func (a *App) Channel() kanava.Wiring[kanava.None, Viewer] {
	return kanava.Wiring[kanava.None, Viewer]{
		Name: "board", Route: "/board",
		Messages: kanava.By("action", kanava.OnDo("watch", a.Watch), kanava.OnDo("renew", a.Renew)),
		Declares: []kanava.Declared{a.Metrics},
	}
}
