package enginetest

import (
	"context"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	stampAs   = "PublishStamped returns an event as it is delivered"
	stampID   = "PublishStamped of an id"
	stampMany = "PublishStamped of many at once"
)

// onStamp changes what PublishStamped returns.
func onStamp(change func(t engine.Topic, given engine.Event, stamped *engine.Event, published *bool)) func(*world, *bent) {
	return func(_ *world, b *bent) {
		b.stamp = func(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error) {
			stamped, published, err := b.Engine.PublishStamped(ctx, t, ev)
			if err == nil {
				change(t, ev, &stamped, &published)
			}
			return stamped, published, err
		}
	}
}

// Mutants that say something else of an event than what is delivered.
var stampMutants = []mutant{
	{name: "an event is stamped as it was given", found: []string{stampAs, stampID, stampMany}, bend: onStamp(func(_ engine.Topic, given engine.Event, stamped *engine.Event, _ *bool) {
		*stamped = given
	})},
	{name: "an event is stamped without the one before it", found: []string{stampAs, stampMany}, bend: onStamp(func(_ engine.Topic, _ engine.Event, stamped *engine.Event, _ *bool) {
		stamped.Prev = 0
	})},
	{name: "an event is stamped with another time", found: []string{stampAs, stampID, stampMany}, bend: onStamp(func(t engine.Topic, _ engine.Event, stamped *engine.Event, _ *bool) {
		stamped.Time = stamped.Time.Add(time.Second)
	})},
	{name: "an event is stamped without its data", found: []string{stampAs}, bend: onStamp(func(_ engine.Topic, _ engine.Event, stamped *engine.Event, _ *bool) {
		stamped.Data = nil
	})},
	{name: "an event is stamped without who is not to see it", found: []string{stampAs}, bend: onStamp(func(_ engine.Topic, _ engine.Event, stamped *engine.Event, _ *bool) {
		stamped.Except = ""
	})},
	{name: "an event of a Volatile topic is stamped with a position", found: []string{stampAs}, bend: onStamp(func(t engine.Topic, _ engine.Event, stamped *engine.Event, _ *bool) {
		if t.Class == engine.Volatile {
			stamped.At = engine.Position{Epoch: "e", Offset: 1}
		}
	})},
	{name: "each event is said to be published", found: []string{stampID, stampMany}, bend: onStamp(func(_ engine.Topic, _ engine.Event, _ *engine.Event, published *bool) {
		*published = true
	})},
	{name: "no event is said to be published", found: []string{stampAs, stampID, stampMany}, bend: onStamp(func(_ engine.Topic, _ engine.Event, _ *engine.Event, published *bool) {
		*published = false
	})},
	{name: "PublishStamped does not look at ids", found: []string{stampID, stampMany}, bend: func(_ *world, b *bent) {
		b.stamp = func(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error) {
			id := ev.ID
			ev.ID = ""
			stamped, published, err := b.Engine.PublishStamped(ctx, t, ev)
			stamped.ID = id
			return stamped, published, err
		}
	}},
	{name: "an event is stamped with where the topic stands a little later", found: []string{stampMany}, bend: func(_ *world, b *bent) {
		b.stamp = func(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error) {
			stamped, published, err := b.Engine.PublishStamped(ctx, t, ev)
			time.Sleep(time.Millisecond)
			if err == nil && published {
				var at []engine.Position
				if at, err = b.Engine.Positions(ctx, []engine.Topic{t}); err == nil {
					stamped.At, stamped.Prev = at[0], at[0].Offset-1
				}
			}
			return stamped, published, err
		}
	}},
}
