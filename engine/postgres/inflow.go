package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

// inflow is what has come by a connection and has not been delivered yet. A
// goroutine delivers all that waits at once, topic by topic.
type inflow struct {
	c       *conn
	mu      sync.Mutex
	changed sync.Cond
	waiting []string // guarded by mu; notifications
	bytes   int      // guarded by mu
	ended   bool     // guarded by mu
	running sync.WaitGroup
}

const (
	inflowMost = 8 << 20          // bytes that wait; then the connection is not read until some are delivered
	inflowCost = 64               // what a notification costs there besides its bytes
	inflowTime = 10 * time.Second // for so long; then it is given up, for the server keeps what is not read
	fetchBytes = 4 << 20          // of events that did not fit into notifications, that are fetched at once
	fetchTime  = 10 * time.Second
	sortMost   = 4096 // events that are sorted at once: as such they take far more room than in notifications
)

var errSlow = errors.New("events come faster than they are taken")

func newInflow(c *conn) *inflow {
	f := &inflow{c: c}
	f.changed.L = &f.mu
	return f
}

// start begins to deliver.
func (f *inflow) start() { f.running.Go(f.deliver) }

// end takes no more, and returns when nothing is being delivered.
func (f *inflow) end() {
	f.mu.Lock()
	f.ended = true
	f.changed.Broadcast()
	f.mu.Unlock()
	f.running.Wait()
}

// push takes a notification. The connection is not read meanwhile.
func (f *inflow) push(notification string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes > inflowMost {
		late := false
		defer time.AfterFunc(inflowTime, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			late = true
			f.changed.Broadcast()
		}).Stop()
		for f.bytes > inflowMost && !f.ended && !late {
			f.changed.Wait()
		}
		if late && f.bytes > inflowMost {
			f.ended = true
			return errSlow
		}
	}
	if f.ended {
		return nil
	}
	f.bytes += inflowCost + len(notification)
	if f.waiting = append(f.waiting, notification); len(f.waiting) == 1 {
		f.changed.Broadcast()
	}
	return nil
}

// take waits for notifications and returns all there are; nothing when it has
// ended. What the caller had before is used again.
func (f *inflow) take(before []string) []string {
	clear(before)
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) == 0 && !f.ended {
		f.changed.Wait()
	}
	taken := f.waiting
	if f.waiting = before[:0]; cap(before) > 4096 {
		f.waiting = nil // a burst is over
	}
	if f.bytes > inflowMost {
		f.changed.Broadcast()
	}
	f.bytes = 0
	return taken
}

// parcel is what is delivered of one topic.
type parcel struct {
	topic  string
	events []arrival
}

func (f *inflow) deliver() {
	var notifications []string
	for {
		if notifications = f.take(notifications); len(notifications) == 0 {
			return
		}
		for rest := notifications; len(rest) > 0; {
			var parcels []parcel
			parcels, rest = f.sort(rest)
			f.hand(parcels)
		}
	}
}

// sort makes parcels of notifications, of the topics that are subscribed to: of
// all, or of as many as do not make it fetch or hold too much at once.
func (f *inflow) sort(notifications []string) (parcels []parcel, rest []string) {
	subs := &f.c.link.e.subs
	subs.mu.Lock()
	defer subs.mu.Unlock()
	of := make(map[*subscription]int)
	size, count := 0, 0
	for i, n := range notifications {
		s := subs.by[topicName(n)]
		if s == nil {
			continue
		}
		arrivals, ok := parseNotification(n)
		if !ok || len(arrivals) == 0 {
			continue
		}
		if at := arrivals[0].at; at != nil {
			if size += at.size; size > fetchBytes && size > at.size {
				return parcels, notifications[i:]
			}
		}
		k, ok := of[s]
		if !ok {
			k = len(parcels)
			of[s] = k
			parcels = append(parcels, parcel{topic: s.topic})
		}
		parcels[k].events = append(parcels[k].events, arrivals...)
		if count += len(arrivals); count >= sortMost {
			return parcels, notifications[i+1:]
		}
	}
	return parcels, nil
}

// hand gives parcels to the hub.
func (f *inflow) hand(parcels []parcel) {
	e := f.c.link.e
	f.fetch(parcels)
	for _, p := range parcels {
		events := make([]engine.Event, 0, len(p.events))
		for i := range p.events {
			if p.events[i].at == nil {
				events = append(events, p.events[i].Event)
			}
		}
		if len(events) > 0 {
			e.handler.Deliver(p.topic, events)
		}
		if len(events) < len(p.events) { // some could not be fetched
			e.handler.Resumed(p.topic)
		}
	}
}

// fetch gets events that did not fit into notifications.
func (f *inflow) fetch(parcels []parcel) {
	var wanted []*arrival
	var topics, numbers []int64
	for _, p := range parcels {
		for i := range p.events {
			if at := p.events[i].at; at != nil {
				wanted = append(wanted, &p.events[i])
				topics, numbers = append(topics, at.topic), append(numbers, at.number)
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	e := f.c.link.e
	ctx, cancel := context.WithTimeout(e.life, fetchTime)
	defer cancel()
	err := e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, e.sql("SELECT n, body FROM {schema}.fetch($1::bigint[], $2::bigint[])"), topics, numbers)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			var body []byte
			if err := rows.Scan(&n, &body); err != nil {
				return err
			}
			if a := wanted[n-1]; body != nil && parseBody(&a.Event, body) {
				a.at = nil
			}
		}
		return rows.Err()
	})
	if err != nil && e.life.Err() == nil {
		e.opts.Logger.Warn("postgres: large events could not be fetched", "error", err)
	}
}
