package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// FanOut keeps inFlight publications of 128 bytes on their way to subscribers
// of one topic, from one publisher that is not one of them. A publication is
// over when the last subscriber has got it. Each subscriber has to see each
// once, in order.
func FanOut(ctx context.Context, t Target, subscribers, inFlight int) (*Work, error) {
	const topic = "bench"
	w := &Work{}
	if err := w.open(ctx, t, "/topic", t.Dialect.join(topic), subscribers); err != nil {
		return nil, err
	}
	publisher, err := t.Dialect.open(ctx, t.Addr, "/topic")
	if err != nil {
		w.Close()
		return nil, err
	}
	w.conns = append(w.conns, publisher)

	f := &fanOut{Work: w, t: t, left: make([]atomic.Int64, inFlight), over: make(chan struct{}, inFlight)}
	f.total.Store(-1)
	for _, c := range w.conns[:subscribers] {
		w.wg.Go(func() { w.report(f.subscribe(c)) })
	}
	w.wg.Go(func() { w.report(f.answers(publisher)) })
	w.wg.Go(func() { w.report(f.publish(publisher, topic, int64(subscribers))) })
	return w, nil
}

func (w *Work) report(err error) {
	if err != nil {
		w.fail(err)
	}
}

type fanOut struct {
	*Work
	t     Target
	left  []atomic.Int64 // deliveries that are missing, by number of the publication modulo their number
	over  chan struct{}  // a publication has been delivered to all
	total atomic.Int64   // how many publications there were, once that is known; -1 before
}

// publish sends a new publication for each that is over.
func (f *fanOut) publish(c *conn, topic string, subscribers int64) error {
	c.patient(time.Hour)
	free, n := cap(f.over), 0
	var batch []byte
	for !f.stopping.Load() {
		if free == 0 {
			<-f.over
			free++
		}
		for more := true; more; { // what is over by now is published in one write
			select {
			case <-f.over:
				free++
			default:
				more = false
			}
		}
		batch = batch[:0]
		for ; free > 0; free-- {
			f.left[n%len(f.left)].Store(subscribers)
			batch = append(batch, text(f.t.Dialect.publish(topic, numbered(n)))...)
			n++
		}
		if err := c.write(batch); err != nil {
			return err
		}
	}
	for ; free < cap(f.over); free++ {
		select {
		case <-f.over:
		case <-time.After(patience):
			return fmt.Errorf("publications have not come to all: %d are missing", cap(f.over)-free)
		}
	}
	f.total.Store(int64(n))
	f.Close() // nothing more comes: those who read are told so
	return nil
}

// answers reads what the publisher is answered: one message a publication.
func (f *fanOut) answers(c *conn) error {
	for {
		read, err := c.read()
		if err != nil {
			return f.end(err)
		}
		if err := f.t.Dialect.each(read, func(m []byte) error {
			if f.t.Dialect.event(m) != nil {
				return fmt.Errorf("the publisher gets an event: %s", m)
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

func (f *fanOut) subscribe(c *conn) error {
	c.patient(time.Hour)
	next := 0
	for {
		read, err := c.read()
		if err != nil {
			if total := f.total.Load(); total >= 0 && int64(next) != total {
				return fmt.Errorf("a subscriber has got %d of %d publications", next, total)
			}
			return f.end(err)
		}
		if err := f.t.Dialect.each(read, func(m []byte) error {
			payload := f.t.Dialect.event(m)
			if payload == nil {
				return fmt.Errorf("not an event: %s", m)
			}
			n, err := number(payload)
			if err != nil {
				return err
			}
			if n != next {
				return fmt.Errorf("publication %d came where %d is next", n, next)
			}
			next++
			f.messages.Add(1)
			if f.left[n%len(f.left)].Add(-1) == 0 {
				f.over <- struct{}{}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// end tells whether an error is more than the end of the work.
func (f *fanOut) end(err error) error {
	if f.total.Load() >= 0 {
		return nil
	}
	return err
}
