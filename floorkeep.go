package kanava

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file keeps at the engine where users were subscribed to Private topics
// (docs/protocol.md D10): who comes back to another node gets what was missed.

// prepare makes a subscription possible that is going to be added before release
// is called. With an engine the topic is followed then, what came after from is
// found in its log if that can be, and the user's floor is known.
func (h *EventHub) prepare(ctx context.Context, sub *subscription, from form.Position) (release func(), err error) {
	k := h.cluster
	if k == nil {
		return func() {}, nil
	}
	ts, err := k.pin(ctx, sub.topic, sub.family)
	if err != nil {
		return nil, err
	}
	if from.Epoch != "" {
		err = k.reach(ctx, ts, from)
	}
	if err == nil && sub.family != nil && sub.family.private && sub.user != "" {
		err = k.keepFloor(ctx, ts, sub.user)
	}
	if err != nil {
		k.unpin(ts)
		return nil, unavailable(err, "the subscription cannot be made")
	}
	return func() { k.unpin(ts) }, nil
}

// keepFloor finds the floor of a user, or makes it where the topic stands.
func (k *cluster) keepFloor(ctx context.Context, ts *topicState, user string) error {
	ctx, cancel := limited(ctx, engineTime)
	defer cancel()
	ts.mu.Lock()
	at := ts.log.at
	ts.mu.Unlock()
	key := floorKey(ts.topic, at.Epoch, user)
	if err := k.awaitForget(ctx, key); err != nil {
		return err
	}
	// Not where this node has come to: what was published before is not for the
	// user, on its way here or not.
	stands, err := k.engine.Positions(ctx, []engine.Topic{ts.follow.spec})
	if err != nil {
		return err
	}
	if err := k.reach(ctx, ts, form.Position(stands[0])); err != nil {
		return err
	}
	kept, err := k.engine.Keep(ctx, key, strconv.AppendUint(nil, stands[0].Offset, 10), floorTime(ts))
	if err != nil {
		return err
	}
	offset, err := strconv.ParseUint(string(kept), 10, 64)
	if err != nil {
		return err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.log.at.Epoch != at.Epoch {
		return nil
	}
	grown := 0
	// The user may have been unsubscribed on another node, and what is known here
	// be of before.
	if f := ts.floors.byUser[user]; f != nil && f.from != offset {
		grown -= ts.floors.forget(f)
	}
	f, more := ts.floors.join(user, offset, time.Now())
	ts.floors.leave(f, time.Now()) // until the subscription is there
	k.hub.kept.bytes.Add(int64(grown + more))
	return nil
}

// refreshFloors keeps those of users who are subscribed; see check.
func (k *cluster) refreshFloors(ts *topicState) {
	ts.mu.Lock()
	at := ts.log.at
	floors := make(map[string]uint64)
	for user, f := range ts.floors.byUser {
		if f.subs > 0 {
			floors[user] = f.from
		}
	}
	ts.mu.Unlock()
	for user, offset := range floors {
		ctx, cancel := limited(k.ctx, engineTime)
		_, err := k.engine.Keep(ctx, floorKey(ts.topic, at.Epoch, user), strconv.AppendUint(nil, offset, 10), floorTime(ts))
		cancel()
		if err != nil {
			return // the next check tries again
		}
	}
}

// forgetFloor lets go of the floor of a user who was unsubscribed for good. A
// subscription that follows waits until the engine has forgotten it.
func (k *cluster) forgetFloor(ts *topicState, user string) {
	if user == "" {
		return
	}
	key := floorKey(ts.topic, ts.log.at.Epoch, user)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended || k.forgets[key] != nil {
		return
	}
	done := make(chan struct{})
	k.forgets[key] = done
	k.running.Go(func() {
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
			ctx, cancel := limited(k.ctx, engineTime)
			err := k.engine.Forget(ctx, key)
			cancel()
			if err == nil || !k.sleep(wait) {
				break
			}
		}
		k.mu.Lock()
		delete(k.forgets, key)
		k.mu.Unlock()
		close(done)
	})
}

func (k *cluster) awaitForget(ctx context.Context, key string) error {
	k.mu.Lock()
	done := k.forgets[key]
	k.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// floorTime is how long a floor is kept from the last time that somebody was
// seen to need it.
func floorTime(ts *topicState) time.Duration { return ts.log.ttl + 2*checkTime }

// floorKey is a key of bounded length, and does not show who the user is.
func floorKey(topic, epoch, user string) string {
	sum := sha256.Sum256([]byte(epoch + "\x00" + topic + "\x00" + user))
	return "\x01floor:" + hex.EncodeToString(sum[:])
}
