package kanava

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLazyContextEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &lazyContext{end: time.Now().Add(time.Minute)}
		if end, ok := x.Deadline(); !ok || !end.Equal(x.end) {
			t.Errorf("Deadline is %v, %v", end, ok)
		}
		quiet := &lazyContext{end: x.end} // nobody asks for Done: no timer
		time.Sleep(59 * time.Second)
		if x.Err() != nil {
			t.Errorf("Err before the deadline: %v", x.Err())
		}
		<-x.Done()
		if !errors.Is(x.Err(), context.DeadlineExceeded) || !errors.Is(quiet.Err(), context.DeadlineExceeded) {
			t.Errorf("Err after the deadline: %v, %v", x.Err(), quiet.Err())
		}
		x.cancel(context.Canceled)
		if !errors.Is(x.Err(), context.DeadlineExceeded) {
			t.Errorf("the first end does not stand: %v", x.Err())
		}
	})
}

// Package context treats it as one of its own: derived contexts end with it
// and cost no goroutine.
func TestLazyContextAsAParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &lazyContext{end: time.Now().Add(time.Minute)}
		child, cancel := context.WithCancel(x)
		defer cancel()
		stopped := context.AfterFunc(x, func() { t.Error("a stopped function ran") })
		ran := make(chan struct{})
		context.AfterFunc(child, func() { close(ran) })
		if !stopped() || stopped() {
			t.Error("stop does not tell whether it stopped")
		}
		<-ran // at the deadline, though nobody called Done of x
		if !errors.Is(child.Err(), context.DeadlineExceeded) {
			t.Errorf("the child ended with %v", child.Err())
		}
		late := make(chan struct{})
		context.AfterFunc(x, func() { close(late) })
		<-late
	})
}

func TestLazyContextUnderLoad(t *testing.T) {
	for range 200 {
		x := &lazyContext{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { <-x.Done() })
			wg.Go(func() {
				child, cancel := context.WithCancel(x)
				defer cancel()
				<-child.Done()
			})
			wg.Go(func() { x.cancel(context.Canceled) })
		}
		wg.Wait()
		if x.Err() == nil {
			t.Fatal("not canceled")
		}
	}
}
