package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// link is the way by which events come. It makes a new connection when one is
// lost.
type link struct {
	e *Engine

	mu   sync.Mutex    // guards what follows
	conn *conn         // nil while there is none
	up   chan struct{} // closed while there is one
}

// conn is one connection of a link. One goroutine uses it; others interrupt its
// waiting.
type conn struct {
	link   *link
	pg     *pgx.Conn
	inflow *inflow
	gone   chan struct{} // closed when it is lost

	mu      sync.Mutex               // guards what follows
	waiting bool                     // for notifications
	kicked  bool                     // there is something else to do
	failed  error                    // why it is to be given up
	probes  map[string]chan struct{} // closed when what was sent comes
}

const (
	silenceTime = 5 * time.Second // without a word the connection is tried
	answerTime  = 5 * time.Second // and given up after this time
)

var errLost = errors.New("the connection was lost")

func (l *link) init(e *Engine) {
	l.e = e
	l.up = make(chan struct{})
}

// run keeps a link connected until ctx ends.
func (l *link) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		c, err := l.connect(ctx)
		if err == nil {
			attempt = 0
			l.e.trouble.Store(nil)
			if err = l.serve(ctx, c); err != nil {
				l.e.pool.Reset() // the server has ended, as a rule: nobody is to find that out by an error
			}
		}
		if err != nil {
			l.e.troubled(fmt.Errorf("listener: %w", err))
		}
		pause(ctx, attempt)
	}
}

// connect makes a connection.
func (l *link) connect(ctx context.Context) (*conn, error) {
	c := &conn{link: l, gone: make(chan struct{}), probes: make(map[string]chan struct{})}
	c.inflow = newInflow(c)
	config := l.e.direct.Copy()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { c.push(n) }
	ctx, cancel := context.WithTimeout(ctx, 2*dialTime)
	defer cancel()
	var err error
	if c.pg, err = pgx.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := c.listen(ctx, "LISTEN "+l.e.opts.probeChannel(l.e.id)); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// listen runs LISTEN and UNLISTEN.
func (c *conn) listen(ctx context.Context, statements ...string) error {
	_, err := c.pg.PgConn().Exec(ctx, strings.Join(statements, ";")).ReadAll()
	return err
}

// serve uses a connection until it is lost or ctx ends.
func (l *link) serve(ctx context.Context, c *conn) error {
	c.inflow.start()
	defer context.AfterFunc(ctx, c.kick)()
	l.mu.Lock()
	l.conn = c
	close(l.up)
	l.mu.Unlock()
	err := c.run(ctx)
	l.mu.Lock()
	l.conn = nil
	l.up = make(chan struct{})
	l.mu.Unlock()
	l.e.subs.lost()
	close(c.gone)
	c.end() // whatever the hub does
	c.inflow.end()
	return err
}

// end closes a connection.
func (c *conn) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.pg.Close(ctx) //nolint:errcheck // it is not used any more
}

// kick makes the link look for something to do.
func (l *link) kick() {
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c != nil {
		c.kick()
	}
}

func (c *conn) kick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kicked = true
	if c.waiting {
		c.pg.PgConn().Conn().SetReadDeadline(time.Now()) //nolint:errcheck // a connection that is closed is noticed
	}
}

// fail has a connection given up.
func (c *conn) fail(err error) {
	c.mu.Lock()
	c.failed = err
	c.mu.Unlock()
	c.kick()
}

// run does what is to be done, and waits for notifications.
func (c *conn) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.change(ctx); err != nil {
			return err
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// change listens to what topics come by, and tells the hub of which topics it may
// have missed events.
func (c *conn) change(ctx context.Context) error {
	e := c.link.e
	ch := e.subs.next()
	if len(ch.listen)+len(ch.unlisten) == 0 {
		return nil
	}
	var statements []string
	for _, n := range ch.unlisten {
		statements = append(statements, "UNLISTEN "+e.opts.channel(n))
	}
	for _, n := range ch.listen {
		statements = append(statements, "LISTEN "+e.opts.channel(n))
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.listen(ctx, statements...); err != nil {
		return err
	}
	if missed := e.subs.changed(ch); len(missed) > 0 {
		e.handler.Resumed(missed...)
	}
	return nil
}

// wait takes notifications until there is something to do. A server that says
// nothing for long is asked whether it is there.
func (c *conn) wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.kicked {
			c.kicked = false
			err := c.failed
			c.mu.Unlock()
			return err
		}
		c.waiting = true
		err := c.pg.PgConn().Conn().SetReadDeadline(time.Now().Add(silenceTime))
		c.mu.Unlock()
		if err != nil {
			return err
		}
		err = c.pg.PgConn().WaitForNotification(context.Background()) //nolint:contextcheck // kick ends it
		c.mu.Lock()
		c.waiting = false
		kicked := c.kicked
		c.pg.PgConn().Conn().SetReadDeadline(time.Time{}) //nolint:errcheck // a connection that is closed is noticed
		c.mu.Unlock()
		var timeout net.Error
		switch {
		case err == nil || kicked && errors.As(err, &timeout) && timeout.Timeout():
		case errors.As(err, &timeout) && timeout.Timeout():
			asking, cancel := context.WithTimeout(ctx, answerTime)
			err := c.listen(asking, "SELECT")
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// push takes what has come.
func (c *conn) push(n *pgconn.Notification) {
	if n.Channel == c.link.e.opts.probeChannel(c.link.e.id) {
		c.probed(n.Payload)
		return
	}
	if err := c.inflow.push(n.Payload); err != nil {
		c.fail(err)
	}
}

// connected returns the connection of a link, once there is one.
func (l *link) connected(ctx context.Context) (*conn, error) {
	for {
		l.mu.Lock()
		c, up := l.conn, l.up
		l.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, l.e.ended(ctx)
		}
	}
}
