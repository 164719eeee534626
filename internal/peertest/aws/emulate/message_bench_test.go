package emulate_test

import (
	"testing"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// BenchmarkMessage is an echo: a message, an event, and a post to its connection.
func BenchmarkMessage(b *testing.B) {
	for _, gw := range []struct {
		name  string
		start func(testing.TB, emulate.Function) *emulate.Gateway
		fresh bool
	}{
		{"offline", emulate.Offline, false},
		{"offline fresh", emulate.Offline, true},
		{"sandbox", emulate.Sandbox, false},
	} {
		b.Run(gw.name, func(b *testing.B) {
			c := dial(b, gw.start(b, emulate.Function{Bootstrap: bootstrap, Fresh: gw.fresh}).URL)
			for b.Loop() {
				c.ask(order{Do: "echo"})
			}
		})
	}
}

// BenchmarkInvoke is an event without a gateway.
func BenchmarkInvoke(b *testing.B) {
	for _, fresh := range []bool{false, true} {
		name := "warm"
		if fresh {
			name = "fresh"
		}
		b.Run(name, func(b *testing.B) {
			l := emulate.NewLambda(b, emulate.Function{Bootstrap: bootstrap, Fresh: fresh})
			for b.Loop() {
				if _, err := l.Invoke(b.Context(), echo("")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
