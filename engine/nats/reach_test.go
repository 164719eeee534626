package nats

import (
	"testing"

	natsgo "github.com/nats-io/nats.go"
)

// TestPassed: the server that a message comes to first says how many others there
// are, and may say it after these have answered.
func TestPassed(t *testing.T) {
	const (
		here  = `{"request":{"header":{"Nats-Trace-Only":["true"]}},"hops":2}`
		there = `{"request":{"header":{"Nats-Trace-Hop":["1"]}}}`
		alone = `{"request":{"header":{}}}`
	)
	for _, c := range []struct {
		proves  string
		answers []string
		want    bool
	}{
		{"nobody has answered", nil, false},
		{"a server without others", []string{alone}, true},
		{"others are to come", []string{here, there}, false},
		{"others came first, and here is to come", []string{there, there}, false},
		{"all have come", []string{there, here, there}, true},
	} {
		var answers []*natsgo.Msg
		for _, text := range c.answers {
			answers = append(answers, &natsgo.Msg{Data: []byte(text)})
		}
		if got := passed(answers); got != c.want {
			t.Errorf("%s: %v", c.proves, got)
		}
	}
}
