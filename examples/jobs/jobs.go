package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

// This file is what clients can do: plain functions, which know nothing of
// channels, and where they are mounted.

// State is how a job stands.
type State string

// A job that is gone was over, and is not kept any more.
const (
	Running  State = "running"
	Done     State = "done"
	Canceled State = "canceled"
	Gone     State = "gone"
)

var _ = kanava.Enum(Running, Done, Canceled, Gone)

// What clients send and get.
type (
	Start struct {
		Name    string `json:"name" doc:"What the job is called" minLength:"1" maxLength:"40"`
		Seconds int    `json:"seconds" doc:"How long it takes" minimum:"1" maximum:"120" default:"10"`
	}
	ByID struct {
		ID string `json:"id" path:"id" maxLength:"20"`
	}
	Job struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		State   State  `json:"state"`
		Percent int    `json:"percent"`
		Step    string `json:"step"`
	}
)

// App holds what the functions need.
type App struct{ jobs *Jobs }

// Start starts a job. It goes on when who has started it leaves.
func (a *App) Start(ctx context.Context, in Start) (Job, error) { return a.jobs.start(ctx, in) }

// Get tells how a job stands.
func (a *App) Get(_ context.Context, in ByID) (Job, error) {
	job, _, err := a.jobs.look(in.ID)
	return job, err
}

// List tells how all jobs stand, the newest first.
func (a *App) List(context.Context, kanava.None) ([]Job, error) { return a.jobs.list(), nil }

// Cancel ends a job that runs.
func (a *App) Cancel(_ context.Context, in ByID) error { return a.jobs.cancel(in.ID) }

// Watch tells how a job stands, now and whenever that changes, until it is over.
// Any number of watchers may look at one job: a slow one sees fewer changes, and
// nobody waits for it.
func (a *App) Watch(ctx context.Context, in ByID, out *kanava.Stream[Job]) error {
	for {
		job, changed, err := a.jobs.look(in.ID)
		if err != nil {
			return err
		}
		if err := out.Send(ctx, job); err != nil {
			return err
		}
		if job.State != Running {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type (
	// Live is one page that is open.
	Live   = kanava.Channel[kanava.None, kanava.None]
	wiring = kanava.Wiring[kanava.None, kanava.None]
)

// Join subscribes a page to all jobs: it gets the newest of each, and then what
// changes.
func (a *App) Join(ctx context.Context, ch *Live) (kanava.None, error) {
	return kanava.None{}, a.jobs.topic.Subscribe(ctx, ch, "all")
}

// wire mounts each function twice: on the channel and over HTTP.
func (a *App) wire(srv *kanava.Server[kanava.None]) {
	public := kanava.Public()
	start := kanava.PlainFunc(a.Start, public, kanava.Doc("Start a job"), kanava.RateLimit(kanava.Rate{PerSecond: 2, Burst: 20}))
	list := kanava.PlainFunc(a.List, public, kanava.Doc("All jobs, the newest first"))
	get := kanava.PlainFunc(a.Get, public, kanava.Doc("How a job stands"))
	cancel := kanava.PlainDo(a.Cancel, public, kanava.Doc("End a job"))
	watch := kanava.PlainStream(a.Watch, public, kanava.Doc("Follow a job until it is over"))

	srv.Wire(wiring{
		Name: "jobs", Route: "/live", Public: true,
		OnConnect: kanava.ConnectFunc(a.Join),
		Messages: kanava.By[kanava.None, kanava.None]("action").
			Plain("start", start).Plain("list", list).Plain("get", get).Plain("cancel", cancel).Plain("watch", watch),
		Declares: []kanava.Declared{a.jobs.topic},
	})
	srv.WireHTTP("POST /jobs", start)
	srv.WireHTTP("GET /jobs", list)
	srv.WireHTTP("GET /jobs/{id}", get)
	srv.WireHTTP("DELETE /jobs/{id}", cancel)
	srv.WireHTTP("GET /jobs/{id}/events", watch)
}
