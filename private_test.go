package kanava_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// Nobody recovers from a Private topic what was there before the user was
// subscribed: not before a lost connection, not after it, and not from before
// the end of an earlier subscription.
func TestD10_PrivateHasAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newClasses(t, kanava.Options[account]{AllowUserChange: true}, wiring{Public: true, Messages: by(login(), logout())})
		const ttl = time.Hour
		room := kanava.NewTopic[string](x.hub, "private", kanava.Recoverable(100, ttl), kanava.Private())
		epoch := ""
		// enter connects a user, "" for none, and subscribes it.
		enter := func(user string) *kanavatest.Client {
			t.Helper()
			c := x.dial(t, envelope)
			if user != "" {
				c.SendText(fmt.Sprintf(`{"do":"login","id":1,"in":{"id":%q}}`, user))
				c.Expect(`{"re":1}`)
			}
			epoch, _ = x.follow(t, c, "private:x")
			return c
		}
		say := func(event string, to ...*kanavatest.Client) {
			t.Helper()
			must(t, room.Publish(t.Context(), "x", event))
			for _, c := range to {
				c.Next()
			}
		}
		// expect says from which positions c is answered.
		expect := func(c *kanavatest.Client, want ...bool) {
			t.Helper()
			for o, ok := range want {
				if got := ask(t, c, "private:x", epoch, uint64(o)); got.Out == nil || got.Out.OK != ok {
					t.Errorf("from %d: %v, want %v", o, got, ok)
				}
			}
		}
		say("1")
		ann := enter("ann")
		nobody := enter("")
		say("2", ann, nobody)
		expect(ann, false, true, true)
		expect(nobody, false, true, true)
		ann.Leave()
		nobody.Leave()
		say("3")
		ann, nobody = enter("ann"), enter("")
		expect(ann, false, true, true, true)
		expect(nobody, false, false, false, true)
		second := enter("ann")
		say("4", ann, second, nobody)
		expect(second, false, true, true, true, true)

		// Unsubscribed on one connection: the next subscription begins anew, and
		// the one that stands has what it had.
		must(t, x.hub.Unsubscribe(t.Context(), "private:x", second.ID()))
		second.Next()
		say("5", ann, nobody)
		x.follow(t, second, "private:x")
		expect(second, false, false, false, false, false, true)
		expect(ann, false, true, true, true, true, true)

		// Signing out is not unsubscribing.
		ann.Leave()
		second.SendText(`{"do":"logout","id":9}`)
		expectLike(t, second, `{"unsub":"private:x","reason":"session"}`)
		second.Expect(`{"re":9}`)
		say("6", nobody)
		second.SendText(`{"do":"login","id":10,"in":{"id":"ann"}}`)
		second.Expect(`{"re":10}`)
		x.follow(t, second, "private:x")
		expect(second, false, false, false, false, false, true, true)

		// Longer than the ttl away: nothing is left to come back to.
		second.Leave()
		time.Sleep(ttl)
		say("7", nobody)
		ann = enter("ann")
		expect(ann, false, false, false, false, false, false, false, true)
		nobody.Leave()
		ann.Leave()
	})
}

func TestD10_PrivateIsForRecoverable(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `topic "x" at private_test.go:`) || !strings.Contains(got, "class ordered has no history") {
			t.Errorf("got %q", got)
		}
	}()
	kanava.NewTopic[int](hub, "x", kanava.Private())
}
