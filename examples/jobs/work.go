package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kanava-go/kanava"
)

// What is kept is bounded: jobs that run, and jobs that are over.
const (
	maxRunning = 8
	maxOver    = 50
)

// Jobs are those that run and the last that are over.
type Jobs struct {
	topic *kanava.Topic[Job]

	mu     sync.Mutex
	all    []*job // guarded by mu: the oldest first
	made   int    // guarded by mu
	closed bool   // guarded by mu
	work   sync.WaitGroup
}

// job is one of them; all of it is guarded by Jobs.mu.
type job struct {
	now     Job
	changed chan struct{} // closed at the next change
	stop    context.CancelFunc
}

// NewJobs makes jobs that tell how they stand on a hub.
func NewJobs(hub *kanava.EventHub) *Jobs {
	return &Jobs{topic: kanava.NewTopic[Job](hub, "jobs", kanava.LatestBy(func(j Job) string { return j.ID }))}
}

// Close ends all jobs and waits for them, so that those who watch see the end.
func (js *Jobs) Close() {
	js.mu.Lock()
	js.closed = true
	for _, j := range js.all {
		j.stop()
	}
	js.mu.Unlock()
	js.work.Wait()
}

func (js *Jobs) start(ctx context.Context, in Start) (Job, error) {
	js.mu.Lock()
	defer js.mu.Unlock()
	switch {
	case js.closed:
		return Job{}, kanava.Errorf(kanava.CodeUnavailable, "the server is shutting down")
	case js.count(Running) == maxRunning:
		e := kanava.Errorf(kanava.CodeResourceExhausted, "%d jobs are running: wait until one is over", maxRunning)
		e.RetryAfter = time.Second
		return Job{}, e
	}
	js.made++
	// The job outlives the call: only its values come along.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	j := &job{now: Job{ID: strconv.Itoa(js.made), Name: in.Name, State: Running, Step: stepAt(0)}, changed: make(chan struct{}), stop: stop}
	js.all = append(js.all, j)
	js.work.Go(func() {
		defer stop()
		js.run(working, j, time.Duration(in.Seconds)*time.Second)
	})
	return j.now, js.tell(j.now)
}

// run is the work: ten parts of it, in three steps.
func (js *Jobs) run(ctx context.Context, j *job, takes time.Duration) {
	ticks := time.NewTicker(takes / 10)
	defer ticks.Stop()
	for percent := 10; ; percent += 10 {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			js.change(j, func(now *Job) { now.State = Canceled })
			return
		}
		js.change(j, func(now *Job) {
			if now.Percent, now.Step = percent, stepAt(percent); percent == 100 {
				now.State = Done
			}
		})
		if percent == 100 {
			return
		}
	}
}

func stepAt(percent int) string {
	switch {
	case percent < 40:
		return "Reading"
	case percent < 80:
		return "Sorting"
	case percent < 100:
		return "Writing"
	}
	return "Written"
}

// change changes a job and tells everyone. The oldest that is over is forgotten
// if there are too many.
func (js *Jobs) change(j *job, with func(now *Job)) {
	js.mu.Lock()
	defer js.mu.Unlock()
	with(&j.now)
	close(j.changed)
	j.changed = make(chan struct{})
	_ = js.tell(j.now) // watchers have it; only a hub that is closed says no
	if len(js.all)-js.count(Running) > maxOver {
		i := slices.IndexFunc(js.all, func(x *job) bool { return x.now.State != Running })
		gone := js.all[i].now
		gone.State = Gone
		js.all = slices.Delete(js.all, i, i+1)
		_ = js.tell(gone)
	}
}

// tell publishes how a job stands; js.mu is held, so in the order of changes.
func (js *Jobs) tell(j Job) error { return js.topic.Publish(context.Background(), "all", j) }

func (js *Jobs) count(s State) (n int) {
	for _, j := range js.all {
		if j.now.State == s {
			n++
		}
	}
	return n
}

// look returns how a job stands, and a channel that is closed when that has
// changed.
func (js *Jobs) look(id string) (Job, <-chan struct{}, error) {
	js.mu.Lock()
	defer js.mu.Unlock()
	j, err := js.find(id)
	if err != nil {
		return Job{}, nil, err
	}
	return j.now, j.changed, nil
}

func (js *Jobs) find(id string) (*job, error) {
	for _, j := range js.all {
		if j.now.ID == id {
			return j, nil
		}
	}
	return nil, kanava.Errorf(kanava.CodeNotFound, "there is no such job")
}

func (js *Jobs) list() []Job {
	js.mu.Lock()
	defer js.mu.Unlock()
	list := make([]Job, 0, len(js.all))
	for _, j := range slices.Backward(js.all) {
		list = append(list, j.now)
	}
	return list
}

func (js *Jobs) cancel(id string) error {
	js.mu.Lock()
	defer js.mu.Unlock()
	j, err := js.find(id)
	if err != nil {
		return err
	}
	if j.now.State != Running {
		return kanava.Errorf(kanava.CodeFailedPrecondition, "the job is over")
	}
	j.stop()
	return nil
}
