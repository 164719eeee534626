//go:build race

package ws

// parallel is less where cases compute more than they wait: some of them have to
// be through within the five seconds that a client is waited for.
const parallel = "1"
