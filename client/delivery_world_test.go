package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
)

// The server and the client as they are, with a network between them that does
// what a test wants: each message waits until it is told to go on.

type (
	account struct {
		ID    string    `json:"id"`
		Until time.Time `json:"until"`
	}
	deliveryChannel = kanava.Channel[kanava.None, account]
)

const deliveryClients = 2

// delivery is a world of servers and their clients: of one that is alone, or of
// several that are joined.
type delivery struct {
	gen     int
	ground  *memory.Backend                 // joins the nodes; nil where there is one
	nodes   atomic.Pointer[[]*deliveryNode] // clients dial while a test replaces them
	stories []*story
	clients [deliveryClients]*deliveryClient
}

// deliveryNode is one server.
type deliveryNode struct {
	engine *memory.Engine // nil where it is alone
	cut    bool           // the engine's link is
	deaf   bool           // nothing comes from it
	hub    *kanava.EventHub
	srv    *kanava.Server[account]
	topics map[string]*kanava.Topic[said]
}

func (w *delivery) node(i int) *deliveryNode {
	all := *w.nodes.Load()
	return all[i%len(all)]
}

// deliveryClient is a client, and what it should be told.
type deliveryClient struct {
	w        *delivery
	index    int
	conn     *Conn
	at       atomic.Int32 // the node to which it connects
	dials    atomic.Int32 // how often it has
	wanted   map[string]bool
	verdicts map[string]*verdict

	greeted line // the client knows its id
	noted   line // it is known that this one is over

	mu   sync.Mutex
	link line // guarded by mu: the newest
}

// line is one connection, at both of its ends.
type line interface {
	id() string
	node() int // to which the client has connected
	// take puts what the server has to say on its way.
	take() (some bool)
	// nextDown is what comes to the client next, nil if there is nothing, with the
	// frame in it; an *ending is the last. hand gives it to the client.
	nextDown() (m any, frame []byte)
	hand(m any)
	// handUp lets something of the client arrive at the server.
	handUp() (some bool)
	// abort is the end for both, and over when that was; zero if it was not.
	abort()
	over() time.Time
}

func newDelivery(by [deliveryClients]Transport, nodes int) *delivery {
	w := &delivery{}
	if nodes > 1 {
		w.ground = memory.New()
	}
	for _, s := range []story{
		{name: "room", class: "recoverable"},
		{name: "secret", class: "recoverable", private: true},
		{name: "audit", class: "ordered"},
		{name: "price", class: "latest"},
		{name: "load", class: "volatile"},
	} {
		s.all, s.epochs = map[int][]said{}, map[string]int{}
		w.stories = append(w.stories, &s)
	}
	w.boot(nodes)
	for i := range w.clients {
		x := &deliveryClient{w: w, index: i, wanted: map[string]bool{}, verdicts: map[string]*verdict{}}
		for _, s := range w.stories {
			x.wanted[s.name] = true
			x.verdicts[s.name+":x"] = &verdict{client: i, dials: &x.dials, topic: s, newest: map[string]said{}}
		}
		s := settings{
			token:   func(context.Context) (string, error) { return fmt.Sprint(i), nil },
			timeout: 10 * time.Second, queue: 64, random: func() float64 { return 0.5 },
		}
		if by[i] == ServerSentEvents {
			s.events = eventDialer("http://kanava.test/", http.Header{}, &http.Client{Transport: x}, 1<<20)
		} else {
			s.webSocket = x.dial
		}
		x.conn = newConn(Spec{}, s)
		for name, v := range x.verdicts {
			OnTopic(x.conn, name[:len(name)-2], "x", func(ev said, _ Topic) { v.told(ev) })
		}
		x.conn.OnLost(func(l Lost) { x.verdicts[l.Topic].declared(l) })
		x.conn.start()
		w.clients[i] = x
	}
	synctest.Wait()
	return w
}

// boot starts servers that know nothing of those before.
func (w *delivery) boot(nodes int) {
	w.gen++
	all := make([]*deliveryNode, nodes)
	for i := range all {
		all[i] = w.newNode()
	}
	for _, s := range w.stories {
		page, err := all[0].topics[s.name].History(context.Background(), "x", kanava.Position{}, 1)
		if err != nil {
			panic(err)
		}
		s.epochs[page.At.Epoch] = w.gen
		s.all[w.gen] = nil
	}
	for _, x := range w.clients {
		for _, s := range w.stories {
			if x != nil {
				x.verdicts[s.name+":x"].outside = nil
			}
		}
	}
	w.nodes.Store(&all)
}

func (w *delivery) newNode() *deliveryNode {
	n := &deliveryNode{}
	opts := kanava.HubOptions{Logger: slog.New(slog.DiscardHandler)}
	if w.ground != nil {
		n.engine = w.ground.Engine()
		opts.Engine = n.engine
	}
	n.hub = kanava.NewEventHub(opts)
	n.topics = map[string]*kanava.Topic[said]{
		"room":   kanava.NewTopic[said](n.hub, "room", kanava.Recoverable(storySize, storyTTL)),
		"secret": kanava.NewTopic[said](n.hub, "secret", kanava.Recoverable(storySize, storyTTL), kanava.Private()),
		"audit":  kanava.NewTopic[said](n.hub, "audit"),
		"price":  kanava.NewTopic[said](n.hub, "price", kanava.LatestBy(func(s said) string { return s.Key })),
		"load":   kanava.NewTopic[said](n.hub, "load", kanava.Volatile()),
	}
	srv := kanava.NewServer(kanava.Options[account]{
		EventHub: n.hub, Logger: slog.New(slog.DiscardHandler),
		Identify: func(a account) kanava.Identity { return kanava.Identity{UserID: a.ID, Expires: a.Until} },
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
			return &account{ID: r.Token}, nil
		},
		Limits: kanava.Limits{Message: 700, Queue: 4000, QueueNoUser: 4000, Rate: kanava.Unlimited}, // pages of 700 bytes
	})
	topics := n.topics
	srv.Wire(kanava.Wiring[kanava.None, account]{
		Name: "delivery", Route: "/",
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *deliveryChannel) (kanava.None, error) {
			x := w.clients[int(ch.Session().ID[0]-'0')]
			for _, s := range w.stories {
				if x.wanted[s.name] {
					x.verdicts[s.name+":x"].done(w.gen)
					if err := topics[s.name].Subscribe(ctx, ch, "x"); err != nil {
						return kanava.None{}, err
					}
				}
			}
			return kanava.None{}, nil
		}),
		Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if ev, ok := p.Value.(said); ok && ev.Drop {
					return nil
				}
				return next(ctx, p)
			}
		}},
	})
	n.srv = srv
	return n
}

// restart is the end of a server and its hub, and the beginning of others.
func (w *delivery) restart() {
	old := w.node(0)
	w.boot(1)
	for _, x := range w.clients {
		x.cut()
	}
	synctest.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := old.srv.Shutdown(ctx); err != nil {
		panic(err)
	}
	old.hub.Close()
}

// heal ends all faults of engines, and lets nodes find out what they have missed.
func (w *delivery) heal() {
	if w.ground == nil {
		return
	}
	for _, n := range *w.nodes.Load() {
		n.setCut(false)
		n.setDeaf(false)
	}
	w.settle()
	time.Sleep(3 * time.Minute) // every topic is looked at twice
}

func (n *deliveryNode) setCut(cut bool) {
	if n.cut = cut; cut {
		n.engine.Cut()
	} else {
		n.engine.Heal()
	}
}

func (n *deliveryNode) setDeaf(deaf bool) {
	if n.deaf = deaf; deaf {
		n.engine.Deafen()
	} else {
		n.engine.Undeafen()
	}
}

// publish publishes an event that is dropped by middleware, or kept from one
// client, -1 for none.
func (w *delivery) publish(s *story, key string, drop bool, except int) {
	n := w.node(len(s.all[w.gen]))
	if n.cut {
		if n = w.node(len(s.all[w.gen]) + 1); n.cut {
			return // nobody can publish anything
		}
	}
	ev := said{Gen: w.gen, N: uint64(len(s.all[w.gen])) + 1, Key: key, Drop: drop, except: -1, when: time.Now()}
	var opts []kanava.PublishOption
	if except >= 0 {
		if id := w.clients[except].id(); id != "" {
			ev.except, ev.dials = except, w.clients[except].dials.Load()
			opts = append(opts, kanava.Except(id))
		}
	}
	s.all[w.gen] = append(s.all[w.gen], ev)
	if err := n.topics[s.name].Publish(context.Background(), "x", ev, opts...); err != nil {
		panic(err)
	}
}

// settle lets everything happen that is on its way, and what follows from it.
func (w *delivery) settle() {
	for quiet := 0; quiet < 60; { // seconds: more than any client waits to come back
		moved := false
		for _, x := range w.clients {
			moved = x.take() || moved
			moved = x.deliver(1000) || moved
			moved = x.send(1000) || moved
		}
		if moved {
			quiet = 0
			continue
		}
		time.Sleep(time.Second)
		quiet++
	}
}

// end closes everything, and returns the first fault.
func (w *delivery) end() string {
	for _, x := range w.clients {
		x.wanted = map[string]bool{}
		x.deliver(1000)
		go x.conn.Close()
	}
	synctest.Wait()
	for _, x := range w.clients {
		x.cut()
		<-x.conn.Done()
	}
	for _, n := range *w.nodes.Load() {
		if err := n.srv.Shutdown(context.Background()); err != nil {
			return err.Error()
		}
		n.hub.Close()
	}
	return ""
}

func (w *delivery) fault() string {
	for _, x := range w.clients {
		for _, v := range x.verdicts {
			if v.fault != "" {
				return v.fault
			}
		}
	}
	return ""
}

// cable is one connection, at both of its ends.
type cable struct {
	x       *deliveryClient
	at      int // the node
	server  *kanava.Link
	in      chan any // message or *ending, for read
	aborted chan struct{}
	once    sync.Once

	end *ending // of the goroutine that reads

	mu    sync.Mutex
	down  []any     // guarded by mu: on its way to the client, messages and the ending
	up    []message // guarded by mu: and to the server
	ended time.Time // guarded by mu
}

func (x *deliveryClient) dial(ctx context.Context, hello []byte) (link, error) {
	x.dials.Add(1)
	l := &cable{x: x, at: int(x.at.Load()), in: make(chan any, 1), aborted: make(chan struct{})}
	server, err := x.w.node(l.at).srv.Open(ctx, &kanava.OpenRequest{
		URL: &url.URL{Path: "/"}, Host: "kanava.test", Header: http.Header{}, Subprotocols: []string{"kanava.v1"},
	}, l)
	if err != nil {
		return nil, err
	}
	l.server = server
	server.Start()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.link = l
	return l, l.write([]message{{data: hello}})
}

// Wake implements kanava.Peer: the test takes when it wants to.
func (l *cable) Wake() {}

func (l *cable) read() (message, error) {
	if l.end == nil {
		select {
		case m := <-l.in:
			if m, ok := m.(message); ok {
				return m, nil
			}
			l.end, _ = m.(*ending)
		case <-l.aborted:
			l.end = &ending{code: CloseLost, reason: "aborted"}
		}
	}
	return message{}, l.end
}

func (l *cable) write(batch []message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range batch {
		l.up = append(l.up, message{bytes.Clone(m.data), m.binary})
	}
	return nil
}

func (l *cable) textOnly() bool { return false }

func (l *cable) close(CloseCode) { l.abort() }

// abort is the end of the connection for both.
func (l *cable) abort() {
	l.once.Do(func() {
		close(l.aborted)
		l.server.Disconnect(kanava.CloseAbnormal, "")
		l.mu.Lock()
		defer l.mu.Unlock()
		l.down, l.up, l.ended = nil, nil, time.Now()
	})
}

// add puts something on its way to the client.
func (l *cable) add(m any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = append(l.down, m)
}

func (l *cable) id() string { return l.server.ID() }
func (l *cable) node() int  { return l.at }

func (l *cable) nextDown() (m any, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.down) == 0 {
		return nil, nil
	}
	m = l.down[0]
	l.down = l.down[1:]
	if m, ok := m.(message); ok {
		frame = m.data
	}
	return m, frame
}

func (l *cable) hand(m any) { l.in <- m }

func (l *cable) handUp() bool {
	l.mu.Lock()
	if len(l.up) == 0 {
		l.mu.Unlock()
		return false
	}
	m := l.up[0]
	l.up = l.up[1:]
	l.mu.Unlock()
	l.server.Receive(m.data, m.binary)
	return true
}

func (l *cable) over() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (x *deliveryClient) newest() line {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.link
}

// live is the connection of the moment, nil if there is none.
func (x *deliveryClient) live() line {
	l := x.newest()
	if l == nil {
		return nil
	}
	over := l.over()
	if over.IsZero() {
		return l
	}
	if x.noted != l { // the client has ended it
		x.noted = l
		x.lose(over)
	}
	return nil
}

// id is that of the last connection, if the client knows it.
func (x *deliveryClient) id() string {
	l := x.newest()
	if l == nil || x.greeted != l {
		return ""
	}
	return l.id()
}

// take takes what the server has to say.
func (x *deliveryClient) take() (some bool) {
	l := x.live()
	return l != nil && l.take()
}

func (l *cable) take() (some bool) {
	for {
		frames, closing := l.server.Take(nil, 500)
		for _, f := range frames {
			l.add(message{bytes.Clone(f.Data), f.Binary})
		}
		if closing != nil {
			l.add(&ending{code: CloseCode(closing.Code), reason: closing.Reason})
		}
		if len(frames) == 0 || closing != nil {
			return some || closing != nil
		}
		some = true
	}
}

// deliver hands at most n messages to the client, one by one.
func (x *deliveryClient) deliver(n int) (some bool) {
	for range n {
		l := x.live()
		if l == nil {
			return some
		}
		m, frame := l.nextDown()
		if m == nil {
			return some
		}
		after := func() {}
		if frame != nil {
			after = x.watch(l, frame)
		}
		l.hand(m)
		synctest.Wait()
		after()
		if _, ended := m.(*ending); ended {
			x.cut()
		}
		some = true
	}
	return some
}

// watch tells the judges of what a client is told that is no event. It returns
// what they are to know once it is told.
func (x *deliveryClient) watch(l line, frame []byte) (after func()) {
	var f struct {
		Open  *struct{} `json:"open"`
		Sub   string    `json:"sub"`
		Unsub string    `json:"unsub"`
		E     string    `json:"e"`
		O     uint64    `json:"o"`
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		panic(err)
	}
	switch {
	case f.Open != nil:
		x.greeted = l
	case f.Sub != "":
		v := x.verdicts[f.Sub]
		v.subscribed(Position{f.E, f.O})
		return func() { v.left = time.Time{} }
	case f.Unsub != "":
		x.verdicts[f.Unsub].ended()
	}
	return func() {}
}

// send hands at most n of the client's messages to the server.
func (x *deliveryClient) send(n int) (some bool) {
	for range n {
		l := x.live()
		if l == nil {
			return some
		}
		if !l.handUp() {
			return some
		}
		synctest.Wait()
		some = true
	}
	return some
}

// cut is the loss of the connection.
func (x *deliveryClient) cut() {
	if l := x.live(); l != nil {
		l.abort()
		x.live()
	}
}

// lose notes since when the client has no subscriptions.
func (x *deliveryClient) lose(at time.Time) {
	for _, v := range x.verdicts {
		if v.left.IsZero() {
			v.left = at
		}
	}
}

// channel is the server's end, nil if there is none.
func (x *deliveryClient) channel() *deliveryChannel {
	l := x.live()
	if l == nil {
		return nil
	}
	found, err := x.w.node(l.node()).srv.Conns().Get(context.Background(), l.id())
	if err != nil {
		return nil
	}
	return found.(*deliveryChannel)
}

// subscribe makes the server subscribe the client, now and on each connection
// to come, or undo that.
func (x *deliveryClient) subscribe(s *story, wanted bool) {
	was, ch := x.wanted[s.name], x.channel()
	x.wanted[s.name] = wanted
	if ch == nil {
		return
	}
	topic, ctx := x.w.node(x.live().node()).topics[s.name], context.Background()
	v := x.verdicts[s.name+":x"]
	if !wanted {
		if was && ch.State() == kanava.StateOpen {
			v.undone(x.w.gen)
		}
		_ = topic.Unsubscribe(ctx, ch, "x") // its error is always nil
		return
	}
	v.done(x.w.gen)
	err := topic.Subscribe(ctx, ch, "x")
	if e, ok := errors.AsType[*kanava.Error](err); ok && e.Code == kanava.CodeUnavailable {
		x.cut() // its engine is away: the next connection tries again
	} else if err != nil && !errors.Is(err, kanava.ErrClosed) {
		panic(err)
	}
}

// signIn gives the client a session for a time, 0 for ever.
func (x *deliveryClient) signIn(d time.Duration) {
	ch := x.channel()
	if ch == nil || ch.State() != kanava.StateOpen {
		return
	}
	a := account{ID: fmt.Sprint(x.index)}
	if d > 0 {
		a.Until = time.Now().Add(d)
	}
	for _, v := range x.verdicts {
		v.lapsed = true
	}
	if err := ch.SetSession(context.Background(), a); err != nil && !errors.Is(err, kanava.ErrClosed) {
		panic(err)
	}
}

// signOut ends the session, and with it the subscriptions, and begins another.
func (x *deliveryClient) signOut() {
	ch := x.channel()
	if ch == nil || ch.State() != kanava.StateOpen {
		return
	}
	if err := ch.ClearSession(context.Background()); err != nil && !errors.Is(err, kanava.ErrClosed) {
		panic(err)
	}
	x.signIn(0)
	names := slices.Collect(func(yield func(*story) bool) {
		for _, s := range x.w.stories {
			if x.wanted[s.name] && !yield(s) {
				return
			}
		}
	})
	for _, s := range names {
		x.subscribe(s, true)
	}
}
