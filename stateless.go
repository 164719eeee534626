package kanava

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file is a server whose connections are held by somebody else: a gateway
// that hands each of their events to whatever process there is (docs/adr/0010).
// What a connection is comes from a Store, and goes back there; between the two
// it is a conn like any other, see visit.

// Platform sends to connections that a gateway holds. Its methods are called from
// many goroutines. They retry what may pass, until ctx ends.
type Platform interface {
	// Send sends one message. The error is [ErrGone] if there is no such
	// connection any more, or not yet.
	Send(ctx context.Context, id string, f Frame) error

	// Close ends a connection, with code and reason where the platform can tell
	// them. It is not an error if there is none.
	Close(ctx context.Context, id string, code CloseCode, reason string) error
}

// ErrGone is what [Platform].Send returns for a connection that does not exist, and
// what the methods of [Stateless] return for one of which nothing is known: the
// transport closes it.
var ErrGone = errors.New("kanava: the connection is gone")

// StatelessOptions configures a [Stateless].
type StatelessOptions struct {
	// Store keeps the connections. It serves one Platform. Required.
	Store engine.Store
	// Platform sends to them. Required.
	Platform Platform

	// Resident says that the process lives on between events, as one does that
	// holds connections of its own, too: it is a node among those of the hub's
	// engine. Others only use what the engine keeps.
	Resident bool

	// TellsConnected says that the platform tells by Connected when a connection can
	// be sent to. OnConnect of the plain form waits for that; else it runs before the
	// client is accepted, an error of it refuses the client, and what it returns comes
	// with the first message.
	TellsConnected bool

	// MaxMessage is the largest message that the platform carries to a client, in
	// bytes; what is larger is refused before it is sent. Default 1 MiB.
	MaxMessage int
	// MaxFrame is the largest message that clients of kanava.v1 may send, where
	// that is less than Limits.Message; they are told. Default: no other limit.
	MaxFrame int
	// NoBinary says that messages to clients are text. Clients of kanava.v1 get
	// bytes in base64; others none: sending them some is CodeUnimplemented.
	NoBinary bool
	// KeepAlive is how often clients of kanava.v1 are to say something, which is how
	// they find out that a connection is lost; default 5 min.
	KeepAlive time.Duration
	// Keep is how long a connection is kept of which nothing is heard; default 3 h.
	// It is more than connections live, or those that only listen are forgotten.
	Keep time.Duration
}

// statelessSends bounds how many connections one process sends to at a time.
const statelessSends = 32

// Stateless runs the channels of a server one event at a time. It is made by
// [Server.Stateless], driven by the transports of serverless platforms, and safe
// for concurrent use: also events of one connection may come at once, to several
// processes, and in any order.
type Stateless struct {
	core     *core
	store    engine.Store
	platform Platform
	opts     StatelessOptions
	logger   *slog.Logger
	session  *typemodel.Model
	opening  map[*channelDef]*typemodel.Model
	sends    chan struct{} // holds one for each connection that is being sent to

	fan fanouts
	met memories
}

// Stateless makes the server's channels run one event at a time. What is published
// on the server's hub is sent to the connections of the Store from then on, by
// whoever publishes it. Each process that publishes has to make it. It is made
// when all channels are wired, and panics if one of them has opening data that does
// not survive JSON, or an engine is in use that is no [engine.Stamper].
func (s *Server[Session]) Stateless(opts StatelessOptions) *Stateless {
	where := callerPlace(0)
	wrong := func(format string, args ...any) {
		panic(fmt.Sprintf("kanava: Stateless at %s: ", where) + fmt.Sprintf(format, args...))
	}
	switch {
	case opts.Store == nil || opts.Platform == nil:
		wrong("Store and Platform are required")
	case opts.MaxMessage < 0 || opts.MaxFrame < 0 || opts.KeepAlive < 0 || opts.Keep < 0:
		wrong("a limit is negative")
	}
	opts.MaxMessage = cmp.Or(opts.MaxMessage, 1<<20)
	opts.KeepAlive = cmp.Or(opts.KeepAlive, 5*time.Minute)
	opts.Keep = cmp.Or(opts.Keep, 3*time.Hour)
	rt := &Stateless{
		core: s.c, store: opts.Store, platform: opts.Platform, opts: opts, logger: s.c.logger,
		opening: make(map[*channelDef]*typemodel.Model), sends: make(chan struct{}, statelessSends), fan: newFanouts(),
	}
	var err error
	if rt.session, err = typemodel.Of(s.c.sessionType, typemodel.Stored); err != nil {
		wrong("session %v", err)
	}
	s.c.wiringMu.RLock()
	defer s.c.wiringMu.RUnlock()
	for _, def := range s.c.defs {
		m, err := typemodel.Of(def.open, typemodel.Stored)
		if err != nil {
			wrong("channel %q: opening data cannot be kept: %v", def.name, err)
		}
		rt.opening[def] = m
	}
	if k := s.c.hub.cluster; k != nil {
		if _, ok := k.engine.(engine.Stamper); !ok {
			wrong("the engine %T does not tell who publishes an event what has become of it", k.engine)
		}
		if !opts.Resident {
			k.guest.set()
		}
	}
	s.c.hub.stateless.add(rt)
	return rt
}

// Start starts the engine of the hub, which may be the Store, too: none is used before
// it is started. The methods below do that by themselves; it is for who uses the Store
// before them.
func (rt *Stateless) Start() {
	if k := rt.core.hub.cluster; k != nil {
		k.start()
	}
}

// connIDOf is the id of a connection that a platform knows by another one.
func connIDOf(platformID string) (id connID) {
	sum := sha256.Sum256([]byte(platformID))
	copy(id[:], sum[:])
	return id
}

// Connect opens a connection that the platform is about to accept, by its id of
// it. The error is an *Error for the client, who is refused with its status. It
// returns the subprotocol to answer, "" for none.
func (rt *Stateless) Connect(ctx context.Context, id string, req *OpenRequest) (subprotocol string, err error) {
	rt.Start()
	v := &visit{rt: rt, key: connIDOf(id), at: id, ctx: ctx, wake: make(chan struct{}, 1)}
	link, err := rt.core.openFor(ctx, req, v, v)
	if err != nil {
		return "", err
	}
	rt.core.visitors.add(v.c)
	defer v.leave()
	if err := v.create(ctx, req); err != nil {
		return "", asError(err, errInternal)
	}
	if !v.c.form.Envelope() && !rt.opts.TellsConnected {
		if err := v.connect(ctx); err != nil {
			return "", asError(err, errInternal)
		}
	}
	if err := rt.Settle(ctx); err != nil { // the client is in all the same
		rt.logger.Warn("events of an opening are still on their way", "conn", v.key.String(), "error", err)
	}
	return link.Subprotocol(), nil
}

// Connected says that the connection can be sent to, and runs OnConnect if that has
// waited for it; see StatelessOptions.TellsConnected.
func (rt *Stateless) Connected(ctx context.Context, id string) error {
	return rt.event(ctx, id, false, nil, func(*visit) {})
}

// Message runs what a message of the client asks for, and returns when all that it
// had to say is sent. Respond may be nil; else the last message to the client goes
// there if it comes about at the end, for platforms that take it as the answer to
// the event: it reports whether it has taken it. The error is [ErrGone] for a
// connection that is not known. When ctx ends, functions that still run are told so.
func (rt *Stateless) Message(ctx context.Context, id string, data []byte, binary bool, respond func(Frame) bool) error {
	mayOvertake := !bytes.Contains(data, []byte(`"hello"`))
	return rt.event(ctx, id, mayOvertake, respond, func(v *visit) {
		if len(data) > v.c.def.limits.Message {
			v.c.closeWith(ctx, Closing{Code: CloseTooBig, Reason: CloseTooBig.String()})
		} else if _, work := v.c.accept(data, binary); work {
			go v.c.work(false, nil)
		}
	})
}

// event visits a connection for one of its events, which may have overtaken the hello.
func (rt *Stateless) event(ctx context.Context, id string, mayOvertake bool, respond func(Frame) bool, do func(*visit)) error {
	v, err := rt.visitOpened(ctx, connIDOf(id), mayOvertake)
	if err != nil {
		return err
	}
	rt.core.visitors.add(v.c)
	defer v.leave()
	rt.met.lend(v.c)
	defer rt.met.keep(v.c)
	if k := v.kept(); k.Phase == keptClosing { // the platform may not have heard
		return rt.platform.Close(ctx, v.at, k.Code, k.Reason)
	}
	if v.touch(ctx); !v.overdue() {
		if err := v.begin(ctx); err != nil {
			return err
		}
		do(v)
	}
	err = v.run(respond)
	return errors.Join(err, rt.Settle(ctx))
}

// Disconnect says that a connection has ended, and runs OnDisconnect. Of all who say
// so the first one counts; one that is not known is not an error.
func (rt *Stateless) Disconnect(ctx context.Context, id string, code CloseCode, reason string) error {
	if err := rt.end(ctx, connIDOf(id), code, reason); err != nil {
		return err
	}
	return rt.Settle(ctx)
}

// statelessList are the runtimes of a hub.
type statelessList struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*Stateless] // changed with mu held; what it points to does not change
}

func (l *statelessList) add(rt *Stateless) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append(slices.Clip(l.all()), rt)
	l.list.Store(&list)
}

func (l *statelessList) all() []*Stateless {
	if list := l.list.Load(); list != nil {
		return *list
	}
	return nil
}

// visit visits the connection with this id for something that the program does to it,
// and reports whether there is one.
func (l *statelessList) visit(ctx context.Context, id string, do func(*conn) error) (known bool, err error) {
	key, ok := readConnID(id)
	if !ok {
		return false, nil
	}
	for _, rt := range l.all() {
		v, err := rt.visit(ctx, key)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return false, err
		}
		defer v.leave()
		if v.kept().Phase == keptClosing {
			continue
		}
		return true, errors.Join(do(v.c), v.run(nil))
	}
	return false, nil
}

// messageLimit is limit, or what the platform lets clients send.
func (rt *Stateless) messageLimit(limit int) int {
	if rt.opts.MaxFrame > 0 {
		return min(limit, rt.opts.MaxFrame)
	}
	return limit
}

// visitors are the connections of a server that live for an event, by their ids: the
// program may name them meanwhile.
type visitors struct {
	n     atomic.Int32 // of there
	mu    sync.Mutex
	there map[connID][]*conn // guarded by mu: of several events at once
}

func (vs *visitors) add(c *conn) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.there == nil {
		vs.there = make(map[connID][]*conn)
	}
	vs.there[c.id] = append(vs.there[c.id], c)
	vs.n.Store(int32(len(vs.there)))
}

func (vs *visitors) remove(c *conn) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	there := vs.there[c.id]
	if len(there) == 0 {
		return
	}
	left := slices.DeleteFunc(there, func(x *conn) bool { return x == c })
	if vs.there[c.id] = left; len(left) == 0 {
		delete(vs.there, c.id)
	}
	vs.n.Store(int32(len(vs.there)))
}

// find returns one of the connections with this id, nil if there is none.
func (vs *visitors) find(id string) *conn {
	if vs.n.Load() == 0 {
		return nil
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if of, ok := readConnID(id); ok && len(vs.there[of]) > 0 {
		return vs.there[of][0]
	}
	return nil
}

// memories are what this process knows of connections that it has met, besides what
// is kept: how much they have sent. Others have memories of their own.
type memories struct {
	mu    sync.Mutex
	conns map[connID]memory // guarded by mu
}

// memory is that of one connection.
type memory struct {
	full    int64       // when the bucket of its rate is full again
	strikes int32       // see conn.strikes
	broken  []time.Time // see envelopeConn.broken
}

// memoriesMost bounds memories. Beyond it everybody begins anew.
const memoriesMost = 1 << 14

// lend gives a connection what is known of it.
func (ms *memories) lend(c *conn) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.conns[c.id]
	c.rate.full.Store(m.full)
	c.strikes.Store(m.strikes)
	if c.v1 != nil {
		c.v1.broken = slices.Clone(m.broken)
	}
}

// keep remembers what is known of a connection after an event.
func (ms *memories) keep(c *conn) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.conns == nil || len(ms.conns) >= memoriesMost {
		ms.conns = make(map[connID]memory)
	}
	m := memory{full: max(ms.conns[c.id].full, c.rate.full.Load()), strikes: c.strikes.Load()}
	if c.v1 != nil {
		m.broken = c.v1.broken
	}
	ms.conns[c.id] = m
}

// forget lets go of what is known of a connection that has ended.
func (ms *memories) forget(id connID) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	delete(ms.conns, id)
}
