package kanava

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// Topic is a family of topics "name:<key>" whose events are of type T. Clients
// see an event as {"topic":"name:<key>","data":…}.
type Topic[T any] struct {
	hub    *EventHub
	family *family
	model  *typemodel.Model
}

// TopicOption is an option of a [Topic].
type TopicOption func(*family)

// MaySubscribe makes f decide who may subscribe to a key. It runs at each
// subscription of a channel, with the zero session where nobody has signed in,
// and again whenever the session changes; its error refuses, or ends, the
// subscription. Whom it lets in without a session gets events without one.
func MaySubscribe[Session any](f func(ctx context.Context, s Session, key string) error) TopicOption {
	mustFunc(f == nil, "MaySubscribe", callerPlace(0))
	return func(t *family) {
		if t.may != nil {
			panic(fmt.Sprintf("kanava: topic %q at %s: MaySubscribe stands twice", t.name, t.where))
		}
		t.takeSession("MaySubscribe", reflect.TypeFor[Session]())
		t.may = func(ctx context.Context, session any, key string) error {
			s, ok := session.(Session)
			if !ok && session != nil {
				return fmt.Errorf("kanava: MaySubscribe of topic %q takes a %T, but the session is a %T", t.name, s, session)
			}
			return f(ctx, s, key)
		}
	}
}

// NewTopic makes the topic family name on hub h. The name has no colon. It
// panics if the name is taken on h or T has no JSON form or, where h has an
// engine, does not survive JSON: on other nodes middleware, views and listeners
// see what the JSON says. Events are shared by all who get them: nobody may change
// what they point to.
func NewTopic[T any](h *EventHub, name string, opts ...TopicOption) *Topic[T] {
	is := making{"topic", name, callerPlace(0)}
	is.on(h)
	m := modelOf[T](is, "", typemodel.Output)
	f := &family{name: name, where: is.where}
	for _, o := range opts {
		o(f)
	}
	if h.cluster != nil {
		modelOf[T](is, "", typemodel.Stored)
	}
	f.decode = decoderOf[T]()
	f.checkPrivate()
	if f.view != nil {
		f.view.bind(is, h, reflect.TypeFor[T](), m)
	}
	h.addFamily(f)
	return &Topic[T]{hub: h, family: f, model: m}
}

// Subscribe subscribes s to key. See [EventHub.Subscribe] for the errors;
// that of MaySubscribe is returned as it is.
func (t *Topic[T]) Subscribe(ctx context.Context, s Subscriber, key string) error {
	return t.hub.subscribe(ctx, s.sink(), t.name(key), t.family, key)
}

// Unsubscribe undoes Subscribe. It is not an error if there is no
// subscription.
func (t *Topic[T]) Unsubscribe(ctx context.Context, s Subscriber, key string) error {
	return s.sink().unsubscribe(ctx, hubTopic{t.hub, t.name(key)})
}

// Publish sends an event to all subscribers of key. See [EventHub.Publish].
func (t *Topic[T]) Publish(ctx context.Context, key string, e T, opts ...PublishOption) error {
	ev, err := t.event(key, e)
	if err != nil {
		return err
	}
	return t.hub.publish(ctx, ev, t.family, opts)
}

// PublishBy checks and encodes an event as Publish does, and hands it to by with the
// hub's engine: it is for engines that have another way to publish, such as in a
// transaction of the program's, whose functions call it. What by returns is
// returned. The Observer is not told: when the event is published is not known. A
// hub without an engine returns an error.
func (t *Topic[T]) PublishBy(ctx context.Context, key string, e T, by func(context.Context, engine.Engine, engine.Topic, engine.Event) error, opts ...PublishOption) error {
	ev, err := t.event(key, e)
	if err != nil {
		return err
	}
	if err := t.hub.admit(ctx, ev, opts); err != nil {
		return err
	}
	if t.hub.cluster == nil {
		return errors.New("kanava: PublishBy: the hub has no engine")
	}
	t.hub.cluster.start()
	return by(ctx, t.hub.cluster.engine, specOf(ev.topic, t.family), ev.forEngine())
}

func (t *Topic[T]) event(key string, e T) (*event, error) {
	ev := &event{topic: t.name(key)}
	if err := ev.encode(e, t.model); err != nil {
		return nil, err
	}
	return ev, ev.setKey(t.family, ev.own)
}

func (t *Topic[T]) name(key string) string { return t.family.name + ":" + key }

func (t *Topic[T]) declared() declaration {
	if t == nil || t.hub == nil {
		return declaration{what: "topic", zero: true}
	}
	return declaration{what: "topic", name: t.family.name, hub: t.hub, session: t.family.session, model: t.model, family: t.family}
}
