//go:build unix

package redis_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/redis/rueidis"
)

// contender is a way to join nodes by Redis.
type contender struct {
	name string
	has  func(engine.Class) bool

	// talk returns a function that publishes on one node what comes to another.
	talk func(b *testing.B, addr string, class engine.Class, came func(data []byte)) (publish func(data []byte) error)

	// follow returns a function that subscribes a node to a topic.
	follow func(b *testing.B, addr string) (subscribe func(topic string) error)
}

var contenders = []contender{
	{"raw", func(engine.Class) bool { return true }, talkRaw, followRaw},
	{"kanava", func(engine.Class) bool { return true }, talkKanava, followKanava},
	{"centrifuge", func(c engine.Class) bool { return c == engine.Volatile || c == engine.Recoverable }, talkCentrifuge, followCentrifuge},
}

const (
	kept    = 100 // events of a Recoverable topic
	keptFor = time.Hour
)

// rawScripts keep an event and send it, without what else an engine is for: epochs,
// times, publications that come twice.
var rawScripts = map[engine.Class]*rueidis.Lua{
	engine.Latest: rueidis.NewLuaScript(`redis.call('HSET', KEYS[1], '', ARGV[1]) redis.call('SPUBLISH', KEYS[1], ARGV[1])`),
	engine.Ordered: rueidis.NewLuaScript(`redis.call('INCR', KEYS[1]) redis.call('SPUBLISH', KEYS[1], ARGV[1])
return 1`),
	engine.Recoverable: rueidis.NewLuaScript(`redis.call('XADD', KEYS[1], 'MAXLEN', '~', 100, '*', 'm', ARGV[1])
redis.call('SPUBLISH', KEYS[1], ARGV[1])`),
}

func rawClient(b *testing.B, addr string) rueidis.Client {
	b.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

func talkRaw(b *testing.B, addr string, class engine.Class, came func([]byte)) func([]byte) error {
	b.Helper()
	from, topic := rawClient(b, addr), rand.Text()
	to, release := rawClient(b, addr).Dedicate()
	b.Cleanup(release)
	to.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { came([]byte(m.Message)) }})
	if err := to.Do(b.Context(), to.B().Ssubscribe().Channel(topic).Build()).Error(); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	if class == engine.Volatile {
		return func(data []byte) error {
			return from.Do(ctx, from.B().Spublish().Channel(topic).Message(rueidis.BinaryString(data)).Build()).Error()
		}
	}
	script := rawScripts[class]
	return func(data []byte) error {
		err := script.Exec(ctx, from, []string{topic}, []string{rueidis.BinaryString(data)}).Error()
		if rueidis.IsRedisNil(err) { // what a script that returns nothing does
			return nil
		}
		return err
	}
}

func followRaw(b *testing.B, addr string) func(string) error {
	b.Helper()
	to, release := rawClient(b, addr).Dedicate()
	b.Cleanup(release)
	to.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(rueidis.PubSubMessage) {}})
	return func(topic string) error {
		return to.Do(context.Background(), to.B().Ssubscribe().Channel(topic).Build()).Error()
	}
}

// hub takes events.
type hub func(data []byte)

func (h hub) Deliver(_ string, events []engine.Event) {
	for _, ev := range events {
		h(ev.Data)
	}
}
func (hub) Resumed(...string) {}

func join(b *testing.B, addr string, h hub) *redis.Engine {
	b.Helper()
	e, err := redis.New(redis.Options{Addrs: []string{addr}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	e.Start(h)
	b.Cleanup(func() { e.Close(context.Background()) })
	return e
}

func talkKanava(b *testing.B, addr string, class engine.Class, came func([]byte)) func([]byte) error {
	b.Helper()
	topic := engine.Topic{Name: rand.Text(), Class: class}
	if class == engine.Recoverable {
		topic.Size, topic.TTL = kept, keptFor
	}
	from, to := join(b, addr, func([]byte) {}), join(b, addr, came)
	if err := to.Subscribe(b.Context(), topic); err != nil {
		b.Fatal(err)
	}
	return func(data []byte) error {
		return from.Publish(context.Background(), topic, engine.Event{Data: data})
	}
}

func followKanava(b *testing.B, addr string) func(string) error {
	b.Helper()
	e := join(b, addr, func([]byte) {})
	return func(topic string) error {
		return e.Subscribe(context.Background(), engine.Topic{Name: topic, Class: engine.Recoverable, Size: kept, TTL: keptFor})
	}
}

// handler takes publications.
type handler func(data []byte)

func (h handler) HandlePublication(_ string, p *centrifuge.Publication, _ centrifuge.StreamPosition, _ bool, _ *centrifuge.Publication) error {
	h(p.Data)
	return nil
}
func (handler) HandleJoin(string, *centrifuge.ClientInfo) error  { return nil }
func (handler) HandleLeave(string, *centrifuge.ClientInfo) error { return nil }

func broker(b *testing.B, addr string, h handler) *centrifuge.RedisBroker {
	b.Helper()
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError})
	if err != nil {
		b.Fatal(err)
	}
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: addr})
	if err != nil {
		b.Fatal(err)
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Shards: []*centrifuge.RedisShard{shard}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		broker.Close(context.Background())
		shard.Close()
	})
	if err := broker.RegisterBrokerEventHandler(h); err != nil {
		b.Fatal(err)
	}
	return broker
}

func talkCentrifuge(b *testing.B, addr string, class engine.Class, came func([]byte)) func([]byte) error {
	b.Helper()
	topic := rand.Text()
	var opts centrifuge.PublishOptions
	if class == engine.Recoverable {
		opts.HistorySize, opts.HistoryTTL = kept, keptFor
	}
	from, to := broker(b, addr, func([]byte) {}), broker(b, addr, came)
	if err := to.Subscribe(topic); err != nil {
		b.Fatal(err)
	}
	return func(data []byte) error {
		_, err := from.Publish(topic, data, opts)
		return err
	}
}

func followCentrifuge(b *testing.B, addr string) func(string) error {
	b.Helper()
	e := broker(b, addr, func([]byte) {})
	return func(topic string) error { return e.Subscribe(topic) }
}
