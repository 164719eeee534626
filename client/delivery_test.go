package client

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// What may go wrong in a world. Events are always published, and messages
// always travel as they like.
type deliveryStep uint8

const (
	stepPublish deliveryStep = iota
	stepTake
	stepDeliver
	stepSend
	stepMoment // a second
	always     // the number of those

	stepBurst = iota - 1 // more than a queue holds
	stepDrop
	stepExcept
	stepCut
	stepMinute // longer than the history is kept
	stepAges   // longer than a client keeps its position
	stepRestart
	stepUnsubscribe
	stepSubscribe
	stepExpire
	stepSignIn
	stepSignOut

	// Where there are several nodes.
	stepMove      // the next connection is to another node
	stepLose      // the engine does not deliver an event
	stepDuplicate // or does so twice
	stepCutEngine
	stepDeafEngine
)

// deed is one step: by whom, on what, and how much.
type deed struct {
	Step               deliveryStep
	Client, Story, Big int
}

// play does the deeds in a world of its own, and returns what was wrong.
func play(by [deliveryClients]Transport, nodes int, deeds []deed) (fault string) {
	w := newDelivery(by, nodes)
	w.settle()
	for _, d := range deeds {
		x, s := w.clients[d.Client], w.stories[d.Story]
		key := string(rune('a' + d.Big%3))
		switch d.Step {
		case stepPublish:
			w.publish(s, key, false, -1)
		case stepTake:
			x.take()
		case stepDeliver:
			x.deliver(d.Big)
		case stepSend:
			x.send(d.Big)
		case stepMoment:
			time.Sleep(time.Second)
		case stepBurst:
			for i := range 10 * d.Big {
				w.publish(s, string(rune('a'+i%3)), false, -1)
			}
		case stepDrop:
			w.publish(s, key, true, -1)
		case stepExcept:
			w.publish(s, key, false, d.Client)
		case stepCut:
			x.cut()
		case stepMinute:
			time.Sleep(storyTTL)
		case stepAges:
			time.Sleep(positionTime + time.Second)
		case stepRestart:
			w.restart()
		case stepUnsubscribe:
			x.subscribe(s, false)
		case stepSubscribe:
			x.subscribe(s, true)
		case stepExpire:
			x.signIn(2 * time.Second)
		case stepSignIn:
			x.signIn(0)
		case stepSignOut:
			x.signOut()
		case stepMove:
			x.at.Add(1)
			x.cut()
		case stepLose:
			w.node(d.Client).engine.Lose(s.name+":x", 1+d.Big%3)
		case stepDuplicate:
			if s.class == "volatile" {
				continue // without positions nobody can tell
			}
			w.node(d.Client).engine.Duplicate(s.name+":x", 1+d.Big%3)
		case stepCutEngine:
			w.node(d.Client).setCut(!w.node(d.Client).cut)
		case stepDeafEngine:
			w.node(d.Client).setDeaf(!w.node(d.Client).deaf)
		}
		synctest.Wait()
		for _, x := range w.clients {
			x.live() // or has it ended?
		}
	}
	w.heal()
	w.settle()
	fault = w.fault()
	for _, x := range w.clients {
		if s := x.conn.State(); s.Phase != Open && fault == "" {
			fault = "D5: in the end the client is " + string(s.Phase) + ": " + s.Reason
		}
		for _, v := range x.verdicts {
			if x.wanted[v.topic.name] {
				v.over(w.gen)
			}
			if fault == "" {
				fault = v.fault
			}
		}
	}
	if wrong := w.end(); fault == "" {
		fault = wrong
	}
	return fault
}

// deliveryHolds plays worlds in which these things may go wrong.
func deliveryHolds(t *testing.T, may ...deliveryStep) {
	t.Helper()
	deliveryHoldsOn(t, 1, may...)
}

// deliveryHoldsOn is that with several nodes.
func deliveryHoldsOn(t *testing.T, nodes int, may ...deliveryStep) {
	t.Helper()
	steps := append([]deliveryStep{stepPublish, stepTake, stepDeliver, stepDeliver, stepSend, stepMoment}, may...)
	deeds := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
		return deed{
			rapid.SampledFrom(steps).Draw(t, "step"), rapid.IntRange(0, deliveryClients-1).Draw(t, "client"),
			rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2, 2, 3, 4}).Draw(t, "topic"), rapid.IntRange(1, 6).Draw(t, "big"),
		}
	}), 10, 150)
	rapid.Check(t, func(rt *rapid.T) {
		by := [deliveryClients]Transport{}
		for i := range by {
			by[i] = rapid.SampledFrom([]Transport{WebSocket, ServerSentEvents}).Draw(rt, "transport")
		}
		plan := deeds.Draw(rt, "deeds")
		fault := ""
		synctest.Test(t, func(*testing.T) { fault = play(by, nodes, plan) })
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// Each of these is one thing that goes wrong besides lost connections, with the
// rule that it is about.

func TestDeliveryD3_SubscribeWhileEventsAreOnTheirWay(t *testing.T) { deliveryHolds(t) }

func TestDeliveryD5_LostConnections(t *testing.T) { deliveryHolds(t, stepCut) }

func TestDeliveryD2_Restart(t *testing.T) { deliveryHolds(t, stepCut, stepRestart) }

func TestDeliveryD6_ExpiredHistory(t *testing.T) { deliveryHolds(t, stepCut, stepMinute) }

func TestDeliveryD5_PositionsAreForgotten(t *testing.T) { deliveryHolds(t, stepCut, stepAges) }

func TestDeliveryD11_SlowClients(t *testing.T) { deliveryHolds(t, stepCut, stepBurst) }

func TestDeliveryD8_MiddlewareDrops(t *testing.T) { deliveryHolds(t, stepCut, stepDrop) }

func TestDeliveryD9_Except(t *testing.T) { deliveryHolds(t, stepCut, stepExcept) }

func TestDeliveryD3_UnsubscribeAndSubscribe(t *testing.T) {
	deliveryHolds(t, stepCut, stepUnsubscribe, stepSubscribe)
}

func TestDeliveryD10_Private(t *testing.T) {
	deliveryHolds(t, stepCut, stepCut, stepUnsubscribe, stepSubscribe, stepSubscribe, stepSignOut)
}

func TestDeliveryS5_Sessions(t *testing.T) {
	deliveryHolds(t, stepCut, stepExpire, stepSignIn, stepSignOut)
}

func TestDelivery_Everything(t *testing.T) {
	deliveryHolds(t, stepBurst, stepDrop, stepExcept, stepCut, stepMinute, stepAges, stepRestart, stepUnsubscribe, stepSubscribe, stepExpire, stepSignIn, stepSignOut)
}

func TestDeliveryD1_NodesAreOneServer(t *testing.T) { deliveryHoldsOn(t, 2, stepCut, stepMove) }

func TestDeliveryD4_EnginesLoseEvents(t *testing.T) {
	deliveryHoldsOn(t, 2, stepCut, stepMove, stepLose, stepDuplicate)
}

func TestDeliveryD4_EnginesAreAway(t *testing.T) {
	deliveryHoldsOn(t, 2, stepCut, stepMove, stepCutEngine, stepDeafEngine)
}

func TestDeliveryD10_PrivateOnNodes(t *testing.T) {
	deliveryHoldsOn(t, 2, stepCut, stepMove, stepUnsubscribe, stepSubscribe, stepSubscribe, stepSignOut)
}

func TestDelivery_EverythingOnNodes(t *testing.T) {
	deliveryHoldsOn(t, 2, stepMove, stepLose, stepDuplicate, stepCutEngine, stepDeafEngine,
		stepBurst, stepDrop, stepExcept, stepCut, stepMinute, stepAges, stepUnsubscribe, stepSubscribe, stepExpire, stepSignIn, stepSignOut)
}

// The judge finds what is wrong: else nothing of the above would mean much.
func TestDeliveryJudge(t *testing.T) {
	s := &story{name: "room", class: "recoverable", all: map[int][]said{}, epochs: map[string]int{"e": 1}}
	for n := range 5 {
		s.all[1] = append(s.all[1], said{Gen: 1, N: uint64(n) + 1, Drop: n == 1, except: -1, when: time.Now()})
	}
	s.all[1][2].except = 0
	ev := func(n int) said { return s.all[1][n-1] }
	at := func(o uint64) Position { return Position{"e", o} }
	for want, story := range map[string]func(v *verdict){
		"":   func(v *verdict) { v.told(ev(1)); v.told(ev(4)); v.told(ev(5)); v.over(1) },
		"D1": func(v *verdict) { v.told(said{Gen: 1, N: 6}) },
		"D2": func(v *verdict) {
			v.told(ev(1))
			s.all[2] = []said{{Gen: 2, N: 1, except: -1}}
			v.told(said{Gen: 2, N: 1})
			delete(s.all, 2)
		},
		"D3":   func(v *verdict) { v.ended(); v.told(ev(1)) },
		"D5":   func(v *verdict) { v.told(ev(4)) },
		"D5 ":  func(v *verdict) { v.told(ev(1)); v.told(ev(1)) },
		"D5  ": func(v *verdict) { v.told(ev(1)); v.over(1) },
		"D6":   func(v *verdict) { v.declared(Lost{"room", at(0), at(4)}) },
		"D6 ":  func(v *verdict) { v.declared(Lost{"room", at(1), at(4)}) },
		"D8":   func(v *verdict) { v.told(ev(1)); v.told(ev(2)) },
		"D9":   func(v *verdict) { v.told(ev(1)); v.told(ev(3)) },
		"D10":  func(v *verdict) { v.secret = [][3]uint64{{1, 0, 1}}; v.told(ev(1)) },
	} {
		v := &verdict{dials: new(atomic.Int32), topic: s, newest: map[string]said{}}
		v.subscribed(at(0))
		if story(v); ruleOf(v.fault) != strings.TrimSpace(want) {
			t.Errorf("%q: the fault is %q", want, v.fault)
		}
	}
}
