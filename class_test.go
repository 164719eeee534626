package kanava_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// A topic's class stands in the manifest, for the generated clients.
func TestClassInManifest(t *testing.T) {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	hub := srv.EventHub()
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "c", Route: "/c", Public: true, Declares: []kanava.Declared{
		kanava.NewTopic[int](hub, "a"),
		kanava.NewTopic[int](hub, "b", kanava.Ordered()),
		kanava.NewTopic[int](hub, "c", kanava.Volatile()),
		kanava.NewTopic[int](hub, "d", kanava.Latest()),
		kanava.NewTopic[int](hub, "e", kanava.LatestBy(func(int) string { return "" })),
		kanava.NewTopic[int](hub, "f", kanava.Recoverable(1, time.Second)),
	}})
	got := ""
	for _, topic := range srv.Manifest().Channels[0].Topics {
		got += topic.Name + " " + topic.Class + " "
	}
	if want := "a ordered b ordered c volatile d latest e latest f recoverable "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClassMisuse(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	for want, wrong := range map[string]func(){
		`its class is both Latest and Volatile`: func() { kanava.NewTopic[int](hub, "x", kanava.Latest(), kanava.Volatile()) },
		`Recoverable(0, 1s) at`:                 func() { kanava.Recoverable(0, time.Second) },
		`Recoverable(1, -1s) at`:                func() { kanava.Recoverable(1, -time.Second) },
		`LatestBy`:                              func() { kanava.LatestBy[int](nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}()
			wrong()
		}()
	}
}
