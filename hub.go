package kanava

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// HubOptions configures an [EventHub].
type HubOptions struct {
	// Event is the largest event in bytes of JSON; default 64 KiB.
	Event int
	// History bounds what all topics together keep of their events, in bytes of
	// memory: about three times the JSON and 256 for each event. Beyond it the
	// topics that keep the most lose their oldest events, and who needs those is
	// told that they are lost; default 64 MiB.
	History int
	// Engine joins the hub with those of other nodes; default none: the hub is
	// alone. It is used by one hub, which closes it, and connects when a topic is
	// used first, or Ready is called. Topics, presences and their options are the
	// same on all nodes, clocks about the same.
	Engine engine.Engine
	// Observer is told of each publication; default none.
	Observer Observer
	// Logger gets the panics of listeners; default slog.Default().
	Logger *slog.Logger
}

// EventHub carries events from publishers to subscribers: channels on any
// transport, and listeners. Events of one topic arrive in one order at all its
// subscribers. Each is encoded once, however many subscribers there are.
// Publishing never waits for a subscriber. It is safe for concurrent use.
type EventHub struct {
	opts      HubOptions
	shards    [64]hubShard
	sinks     sync.Map // id -> sink: who can be named in Subscribe and is no connection
	homes     homes
	presences presences
	mu        sync.Mutex
	families  map[string]*family // guarded by mu: topics made by NewTopic
	closed    atomicFlag
	epoch     string        // begins each epoch of a topic: 8 random characters
	epochs    atomic.Uint64 // their number
	kept      retention
	published publications
	cluster   *cluster // nil where the hub is alone
	stateless statelessList
	pages     pages
}

// family is the topics "name:<key>" of one [Topic].
type family struct {
	name    string
	where   place
	session reflect.Type // of may and view; nil if there is none
	may     func(ctx context.Context, session any, key string) error
	view    viewer // nil without View

	decode  func(data []byte) (any, error) // of the JSON of an event
	clients bool                           // ClientSubscribable

	class   class
	classBy string                      // the option that has set it
	keyOf   func(v any) (string, error) // of LatestBy; nil without it
	private bool
	size    int // of Recoverable, as is ttl
	ttl     time.Duration
}

// classOf is the class of a topic; f is nil for one that no Topic has made.
func (f *family) classOf() class {
	if f == nil {
		return ordered
	}
	return f.class
}

// Subscriber is what a topic can be subscribed for: a channel or a [Listener].
type Subscriber interface {
	ID() string
	sink() sink
}

// sink takes the events of a subscriber. The hub calls deliver with locks
// held: it must not wait and must not call the hub.
type sink interface {
	isNamed(id string) bool
	deliver(ev *event, sub *subscription)
	// pass is deliver of an event that the subscriber is not to see.
	pass(ev *event, sub *subscription)
	// subscribed comes before the first event of sub, with locks held too: the
	// topic stands at at, and what a Latest topic keeps follows.
	subscribed(sub *subscription, at form.Position)
	// moved says that the topic stands elsewhere now, and not because of an event:
	// those behind from are lost, or kept and not to be delivered any more. The
	// topic's mu is held.
	moved(sub *subscription, from form.Position)
	// subscribe asks the sink's own rules, and calls add to go on.
	subscribe(ctx context.Context, at hubTopic, f *family, key string, add func(*subscription)) error
	// unsubscribe ends a subscription, if there is one.
	unsubscribe(ctx context.Context, at hubTopic) error
}

// hubTopic names a topic: two hubs can have topics of one name.
type hubTopic struct {
	hub   *EventHub
	topic string
}

// NewEventHub makes a hub in the memory of this process. Who makes a hub
// closes it.
func NewEventHub(opts HubOptions) *EventHub {
	for name, n := range map[string]int{"Event": opts.Event, "History": opts.History} {
		if n < 0 {
			panic(fmt.Sprintf("kanava: NewEventHub at %s: HubOptions.%s is negative", callerPlace(0), name))
		}
	}
	opts.Event = cmp.Or(opts.Event, 64<<10)
	opts.History = cmp.Or(opts.History, 64<<20)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Observer == nil {
		opts.Observer = NopObserver{}
	} else {
		opts.Observer = safeObserver{opts.Observer, opts.Logger}
	}
	h := &EventHub{opts: opts, families: make(map[string]*family), epoch: rand.Text()[:8]}
	for i := range h.shards {
		h.shards[i].topics = make(map[string]*topicState)
	}
	if opts.Engine != nil {
		h.cluster = newCluster(h, opts.Engine)
	}
	return h
}

// Close ends all listeners and lets go of what topics keep; later publications
// and subscriptions return ErrClosed. Connections stay open. It closes the engine,
// if there is one, and waits until what was published is sent, for at most 5 s.
func (h *EventHub) Close() {
	h.closed.set()
	if h.cluster != nil {
		h.cluster.close()
	}
	h.forgetEvents()
	h.sinks.Range(func(_, s any) bool {
		if l, ok := s.(*Listener); ok {
			l.end(ErrClosed)
		}
		return true
	})
}

// Subscribe subscribes the channel or listener with the given id to topic.
// Subscribing twice is subscribing once. If the topic belongs to a [Topic]
// with MaySubscribe, that decides. The error is CodeNotFound if no such
// subscriber is connected here, or kept in the Store of a [Stateless], CodeResourceExhausted if it has too many
// subscriptions, CodeInvalidArgument for a topic that is empty, longer than
// 256 bytes, or has control characters.
func (h *EventHub) Subscribe(ctx context.Context, topic, subscriberID string) error {
	f, key := h.familyOf(topic)
	if s := h.sinkOf(subscriberID); s != nil {
		return h.subscribe(ctx, s, topic, f, key)
	}
	known, err := h.stateless.visit(ctx, subscriberID, func(c *conn) error { return h.subscribe(ctx, c, topic, f, key) })
	if !known && err == nil {
		err = Errorf(CodeNotFound, "no subscriber with this id is connected")
	}
	return err
}

// Unsubscribe undoes Subscribe. It is not an error if there is no
// subscription, or no such subscriber.
func (h *EventHub) Unsubscribe(ctx context.Context, topic, subscriberID string) error {
	if s := h.sinkOf(subscriberID); s != nil {
		return s.unsubscribe(ctx, hubTopic{h, topic})
	}
	_, err := h.stateless.visit(ctx, subscriberID, func(c *conn) error { return c.unsubscribe(ctx, hubTopic{h, topic}) })
	return err
}

// PublishOption is an option of one publication.
type PublishOption func(*event)

// Except keeps the event from one subscriber, usually the one that caused it.
func Except(subscriberID string) PublishOption {
	return func(ev *event) { ev.except = subscriberID }
}

// Once makes sure that an event is published once at most, also where somebody
// who does not know whether it was tries again: within two minutes of the first
// publication to the topic with this id, of up to 256 bytes, another one with it
// does nothing and returns nil.
func Once(id string) PublishOption {
	return func(ev *event) { ev.id = id }
}

// Publish sends payload to all subscribers of topic: a []byte as a binary
// frame, a jsontext.Value as it is, anything else as JSON. It takes a []byte:
// the caller must not change it any more. It returns when the event is kept, if
// the topic's class wants that, and stands in every subscriber's queue. The
// error is CodeTooLarge for an event over the limit, CodeInvalidArgument for a
// bad topic or id; another error if payload has no JSON form, or is not what the
// topic's LatestBy takes. With an engine it is CodeUnavailable where that does not
// answer within 10 s: whether the event was published is not known then, see
// [Once]. No subscribers is not an error.
func (h *EventHub) Publish(ctx context.Context, topic string, payload any, opts ...PublishOption) error {
	ev := &event{topic: topic}
	f, _ := h.familyOf(topic)
	if err := f.encode(ev, payload); err != nil {
		return err
	}
	if err := ev.setKey(f, payload); err != nil {
		return err
	}
	return h.publish(ctx, ev, f, opts)
}

func (h *EventHub) publish(ctx context.Context, ev *event, f *family, opts []PublishOption) error {
	if err := h.admit(ctx, ev, opts); err != nil {
		return err
	}
	if h.cluster != nil {
		return h.cluster.publish(ctx, ev, f)
	}
	if ev.id != "" && !h.published.first(ev.topic, ev.id, time.Now()) {
		return nil
	}
	if f != nil && f.view != nil {
		ev.view, ev.views = f.view, f.view.cache()
	}
	n := 0
	stateless := h.stateless.reserve(ctx)
	if ts := h.hold(ev.topic, f, f.classOf().keeps() || stateless != nil); ts != nil {
		grown := ts.log.append(ev, time.Now()) // before anybody sees it
		n = ts.handAll(ev)
		for _, rt := range stateless {
			rt.publish(ctx, ev)
		}
		ts.mu.Unlock()
		h.retain(grown)
	}
	h.opts.Observer.Published(ev.topic, ev.size(), n)
	return nil
}

// admit puts options into an event, and says why it cannot be published.
func (h *EventHub) admit(ctx context.Context, ev *event, opts []PublishOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkTopic(ev.topic); err != nil {
		return err
	}
	if h.closed.isSet() {
		return ErrClosed
	}
	if n := ev.size(); n > h.opts.Event {
		return Errorf(CodeTooLarge, "the event has %d bytes; the limit is %d", n, h.opts.Event)
	}
	for _, o := range opts {
		o(ev)
	}
	if len(ev.id) > 256 || !utf8.ValidString(ev.id) {
		return Errorf(CodeInvalidArgument, "the id of the publication is longer than 256 bytes, or is not UTF-8")
	}
	return nil
}

// handAll gives the event to all subscribers, and returns how many see it; mu is
// held.
func (ts *topicState) handAll(ev *event) (seen int) {
	if len(ts.subs) >= runSubscribers {
		ts.runs.add(ev)
	}
	for _, sub := range ts.subs {
		if sub.hand(ev) {
			seen++
		}
	}
	return seen
}

// hand gives the event to the subscriber, or only its position if it is not to
// see it. It reports which; the topic's mu is held.
func (sub *subscription) hand(ev *event) (seen bool) {
	if ev.except != "" && sub.to.isNamed(ev.except) {
		sub.to.pass(ev, sub)
		return false
	}
	sub.to.deliver(ev, sub)
	return true
}

// subscription is one subscriber's place in a topic.
type subscription struct {
	hubTopic
	family *family // nil for a topic that no Topic has made; fixed, as is class
	state  *topicState
	to     sink
	out    *outTopic // of channels; guarded by outbox.mu; nil until an outbox needs it
	index  int32     // in state.subs; guarded by state.mu
	ended  atomicFlag
	class  class

	// Of channels only, and fixed.
	recovering bool // an answer to recover is under way; guarded by conn.subMu, as is byClient
	byClient   bool // the client alone has made it

	owned bool           // made while somebody was signed in
	free  bool           // readable without a session
	user  string         // whose it is; "" where nobody has signed in, or has an id
	mark  string         // of one that is kept in a Store: tells it from others of the connection to the topic
	watch *presenceWatch // tells who is present; nil if nobody can be. Made while conn.subMu is held, fixed then
	floor *floor         // of a Private topic; what it points to is guarded by state.mu
}

// key is the part of the topic's name behind that of the family.
func (sub *subscription) key() string { return sub.topic[len(sub.family.name)+1:] }

func (h *EventHub) subscribe(ctx context.Context, to sink, topic string, f *family, key string) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	if h.closed.isSet() {
		return ErrClosed
	}
	return to.subscribe(ctx, hubTopic{h, topic}, f, key, h.add)
}

func (h *EventHub) familyOf(topic string) (*family, string) {
	name, key, ok := strings.Cut(topic, ":")
	if !ok {
		return nil, ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.families[name], key
}

func (h *EventHub) addFamily(f *family) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first, ok := h.families[f.name]; ok {
		panic(fmt.Sprintf("kanava: topic %q at %s was already made for this hub at %s", f.name, f.where, first.where))
	}
	h.families[f.name] = f
}

// checkTopic refuses names that some engine or log could not carry.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return Errorf(CodeInvalidArgument, "the topic is empty")
	case len(topic) > 256:
		return Errorf(CodeInvalidArgument, "the topic is longer than 256 bytes")
	case !utf8.ValidString(topic):
		return Errorf(CodeInvalidArgument, "the topic is not UTF-8")
	}
	for _, r := range topic {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return Errorf(CodeInvalidArgument, "the topic has a control character")
		}
	}
	return nil
}

// modelFor is the model of a payload whose type is known only now.
func modelFor(v any) (*typemodel.Model, error) {
	m, err := typemodel.Of(reflect.TypeOf(v), typemodel.Output)
	if err != nil {
		return nil, fmt.Errorf("kanava: %w", err)
	}
	return m, nil
}
