package nats

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

const (
	dialTimeout  = 5 * time.Second
	pingInterval = 5 * time.Second // a connection that answers none of two is lost
	writeTimeout = 5 * time.Second
	mostUnread   = 64 << 20 // bytes that were read and not yet delivered
)

// link is the connection, which the client makes again when it is lost.
type link struct {
	mu    sync.Mutex // guards what follows
	conn  *natsgo.Conn
	up    chan struct{} // closed while connected
	isUp  bool
	cause error // of the last loss

	unread unread
}

func (l *link) init() {
	l.up = make(chan struct{})
	l.unread.emptied = make(chan struct{}, 1)
}

func (l *link) connected() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *link) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// set tells whether there is a connection.
func (l *link) set(up bool, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cause != nil {
		l.cause = cause
	}
	if up && !l.isUp {
		close(l.up)
	}
	if !up && l.isUp {
		l.up = make(chan struct{})
	}
	l.isUp = up
}

// alone tells whether the server is in no cluster.
func (l *link) alone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn == nil || l.conn.ConnectedClusterName() == ""
}

// note keeps what is wrong, for who waits in vain.
func (l *link) note(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cause = cause
}

func (l *link) close() {
	l.mu.Lock()
	nc := l.conn
	l.mu.Unlock()
	l.unread.stop()
	if nc != nil {
		nc.Close()
	}
}

// options are what all connections have in common.
func (l *link) options(e *Engine) []natsgo.Option {
	return []natsgo.Option{
		natsgo.Name(string(e.names)),
		natsgo.Timeout(dialTimeout),
		natsgo.PingInterval(pingInterval),
		natsgo.MaxPingsOutstanding(2),
		natsgo.FlusherTimeout(writeTimeout),
		natsgo.MaxReconnects(-1),
		natsgo.IgnoreAuthErrorAbort(), // a password may be put right
		natsgo.CustomReconnectDelay(delay),
		natsgo.ReconnectBufSize(-1), // what waits for a connection waits in its caller, as long as that wants to
		natsgo.ConnectHandler(func(*natsgo.Conn) { e.linkUp(false) }),
		natsgo.ReconnectHandler(func(*natsgo.Conn) { e.linkUp(true) }),
		natsgo.DisconnectErrHandler(func(_ *natsgo.Conn, err error) { e.linkDown(err) }),
		natsgo.ReconnectErrHandler(func(_ *natsgo.Conn, err error) { l.note(err) }),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, sub *natsgo.Subscription, err error) { e.linkError(sub, err) }),
	}
}

// delay is how long to wait before the next attempt.
func delay(attempts int) time.Duration {
	most := min(50*time.Millisecond<<min(attempts, 10), 2*time.Second)
	return most/2 + rand.N(most/2) //nolint:gosec // spreads attempts, and is no secret
}

// backoff is for trying again.
type backoff int

// wait waits, longer each time, and returns false if stop is closed.
func (b *backoff) wait(stop <-chan struct{}) bool {
	timer := time.NewTimer(delay(int(*b)))
	defer timer.Stop()
	*b++
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// unread bounds what has been read from the connection and is not delivered: it
// holds up reading.
type unread struct {
	read    atomic.Int64 // bytes, ever
	cleared atomic.Int64 // of them, when nothing was left
	emptied chan struct{}
	stopped atomic.Bool
}

// clear says that nothing waits that was read when read had this value.
func (u *unread) clear(read int64) {
	u.cleared.Store(read)
	select {
	case u.emptied <- struct{}{}:
	default:
	}
}

func (u *unread) stop() {
	u.stopped.Store(true)
	select {
	case u.emptied <- struct{}{}:
	default:
	}
}

func (u *unread) wait() {
	for !u.stopped.Load() && u.read.Load()-u.cleared.Load() > mostUnread {
		<-u.emptied
	}
}

// heldConn is a connection that is not read while too much is unread.
type heldConn struct {
	net.Conn

	unread *unread
}

func (c heldConn) Read(p []byte) (int, error) {
	c.unread.wait()
	n, err := c.Conn.Read(p)
	c.unread.read.Add(int64(n))
	return n, err
}

// dialer makes connections that are held.
type dialer struct{ e *Engine }

// Dial implements [natsgo.CustomDialer].
func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := d.e.lifetime(dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return heldConn{conn, &d.e.link.unread}, nil
}
