package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava"
)

// ledger counts connections in two ways: as the server's Observer, and by
// OnConnect and OnDisconnect, which come in pairs.
type ledger struct {
	kanava.NopObserver
	opened, ended, refused atomic.Int64
	connects, disconnects  atomic.Int64

	mu    sync.Mutex
	live  map[string]bool // guarded by mu: OnConnect has begun, OnDisconnect has not
	wrong []string        // guarded by mu
}

func (l *ledger) ConnOpened(kanava.ConnInfo) { l.opened.Add(1) }

func (l *ledger) ConnClosed(kanava.ConnInfo, kanava.CloseCode, time.Duration) { l.ended.Add(1) }

func (l *ledger) OpenRefused(string, *kanava.Error) { l.refused.Add(1) }

func (l *ledger) connect(id string) {
	l.connects.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[id] {
		l.wrong = append(l.wrong, "OnConnect ran twice for "+id)
	}
	l.live[id] = true
}

func (l *ledger) disconnect(id string) {
	l.disconnects.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.live[id] {
		l.wrong = append(l.wrong, "OnDisconnect ran without OnConnect, or twice, for "+id)
	}
	delete(l.live, id)
}

func (l *ledger) problems() error {
	var list []error
	if o, e := l.opened.Load(), l.ended.Load(); o != e || o == 0 {
		list = append(list, fmt.Errorf("%d connections were opened, %d have ended", o, e))
	}
	if c, d := l.connects.Load(), l.disconnects.Load(); c != d || c == 0 {
		list = append(list, fmt.Errorf("%d times OnConnect, %d times OnDisconnect", c, d))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.live) > 0 {
		list = append(list, fmt.Errorf("%d connections never had an OnDisconnect", len(l.live)))
	}
	for _, w := range l.wrong {
		list = append(list, errors.New(w))
	}
	return errors.Join(list...)
}
