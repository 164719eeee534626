package kanava

import (
	"context"
	"strings"

	"github.com/kanava-go/kanava/internal/form"
)

// This file lets clients subscribe themselves: the built-in actions subscribe
// and unsubscribe (docs/protocol.md P8, S5).

// ClientSubscribable lets clients subscribe to the topic themselves, on the
// channels that declare it: by the built-in actions subscribe and unsubscribe,
// which take {"topic":"name:<key>"}. Any key will do unless MaySubscribe refuses
// it; without MaySubscribe a session is needed, except on channels that are
// Public. A channel's own actions of these names, by its first routing member,
// take their place.
func ClientSubscribable() TopicOption { return func(f *family) { f.clients = true } }

// ClientSubscription is the input of the built-in actions subscribe and
// unsubscribe, as middleware finds it in Invocation.In.
type ClientSubscription struct {
	Topic string `json:"topic"`
}

const (
	subscribeAction   = "subscribe"
	unsubscribeAction = "unsubscribe"
)

// clientTopics are the families of a channel that its clients may subscribe to.
type clientTopics map[string]*family

// addClientSubscriptions adds the built-in actions to those of the channel, if
// it declares a topic for them.
func (d *channelDecl) addClientSubscriptions(s *core, def *channelDef) {
	topics := make(clientTopics)
	for _, v := range d.declares {
		if f := v.declared().family; f != nil && f.clients {
			topics[f.name] = f
		}
	}
	if len(topics) == 0 {
		return
	}
	if len(def.keys) == 0 {
		def.keys, def.actions = []string{"action"}, []map[string]*action{{}}
	}
	def.subscribable = true
	for name, run := range map[string]func(context.Context, *conn, hubTopic, *family, string) error{
		subscribeAction: subscribeClient, unsubscribeAction: unsubscribeClient,
	} {
		if def.actions[0][name] != nil {
			def.subscribable = false // generated clients would not get what they ask for
			continue
		}
		def.actions[0][name] = topics.action(s, d, form.Route{Key: def.keys[0], Action: name}, run)
	}
}

// action makes a built-in action of run. Topics and sessions are checked before
// middleware sees the call, as they are for any other action.
func (t clientTopics) action(s *core, d *channelDecl, route form.Route, run func(context.Context, *conn, hubTopic, *family, string) error) *action {
	f := &fn{kind: KindMessage, where: d.where, keyless: true, opts: funcOptions{access: accessPublic}}
	setIn[ClientSubscription](f)
	f.call = func(ctx context.Context, ch, in any, _ *streamEnd) (any, error) {
		c, topic := ch.(Subscriber).sink().(*conn), in.(*ClientSubscription).Topic
		family, key, err := t.find(c, topic)
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, c, hubTopic{s.hub, topic}, family, key)
	}
	a := d.compile(s, f, route, "the built-in action "+route.Action)
	if next := a.handler; next != nil {
		a.handler = func(ctx context.Context, inv *Invocation) (any, error) {
			if _, _, err := t.find(inv.Conn.sink().(*conn), inv.In.(*ClientSubscription).Topic); err != nil {
				return nil, err
			}
			return next(ctx, inv)
		}
	}
	return a
}

// find returns the family and the key of a topic that a client names.
func (t clientTopics) find(c *conn, topic string) (*family, string, error) {
	if err := checkTopic(topic); err != nil {
		e, _ := find(err)
		return nil, "", Invalid("/topic", "%s", e.Message)
	}
	name, key, _ := strings.Cut(topic, ":")
	f := t[name]
	switch {
	case f == nil || len(name) == len(topic):
		return nil, "", Errorf(CodeNotFound, "there is no such topic here that clients may subscribe to")
	case f.may == nil && !c.def.public && c.liveSession() == nil:
		return nil, "", c.sessionMissing()
	}
	return f, key, nil
}

func subscribeClient(ctx context.Context, c *conn, at hubTopic, f *family, key string) error {
	if at.hub.closed.isSet() {
		return ErrClosed
	}
	return c.makeSubscription(ctx, at, f, key, true, at.hub.add)
}

// unsubscribeClient leaves what the server has subscribed.
func unsubscribeClient(ctx context.Context, c *conn, at hubTopic, _ *family, _ string) error {
	if v := c.visit(); v != nil {
		return v.unsubscribe(ctx, at, true)
	}
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if sub := c.subs.get(at); sub != nil && sub.byClient {
		c.end(sub, "unsubscribed")
	}
	return nil
}
