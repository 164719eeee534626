package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Dialect is how a server wants to be talked to.
type Dialect struct {
	subprotocol string
	one         string // the path of everything, if it has one path

	// greet, if there is one, is said first and answered once.
	greet string
	// typed is the call of the typed echo, and typedReply begins its answer.
	typed, typedReply string
	join              func(topic string) string
	publish           func(topic, payload string) string
	// event returns the payload of an event, or nil for any other message. It
	// must be cheap.
	event func(message []byte) []byte
	// many: one message of the server can hold several, a line each.
	many bool
}

// payload of the echo: 64 bytes.
const sixtyFour = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Plain is the plain form of Kanava, which the peers that are written by hand
// speak too.
var Plain = &Dialect{
	typed:      `{"action":"echo","message":"` + sixtyFour + `"}`,
	typedReply: `{"message":"` + sixtyFour + `","timestamp":`,
	join:       func(topic string) string { return `{"action":"join","topic":"` + topic + `"}` },
	publish: func(topic, payload string) string {
		return `{"action":"pub","topic":"` + topic + `","payload":` + payload + `}`
	},
	event: func(m []byte) []byte {
		if !bytes.HasPrefix(m, []byte(`{"topic":`)) {
			return nil
		}
		if _, rest, ok := bytes.Cut(m, []byte(`,"data":`)); ok {
			return rest
		}
		return nil
	},
}

// Centrifuge is the JSON protocol of Centrifuge.
var Centrifuge = &Dialect{
	one:        "/connection/websocket",
	many:       true,
	greet:      `{"id":1,"connect":{}}`,
	typed:      `{"id":2,"rpc":{"method":"echo","data":{"message":"` + sixtyFour + `"}}}`,
	typedReply: `{"id":2,"rpc":{"data":{"message":"` + sixtyFour + `","timestamp":`,
	join:       func(topic string) string { return `{"id":3,"subscribe":{"channel":"` + topic + `"}}` },
	publish: func(topic, payload string) string {
		return `{"id":4,"publish":{"channel":"` + topic + `","data":` + payload + `}}`
	},
	event: func(m []byte) []byte {
		if !bytes.HasPrefix(m, []byte(`{"push":`)) {
			return nil
		}
		if _, rest, ok := bytes.Cut(m, []byte(`"pub":{"data":`)); ok {
			return rest
		}
		return nil
	},
}

// open connects and greets.
func (d *Dialect) open(ctx context.Context, addr, path string) (*conn, error) {
	if d.one != "" {
		path = d.one
	}
	c, err := dial(ctx, addr, path, d.subprotocol)
	if err != nil || d.greet == "" {
		return c, err
	}
	if _, err = c.ask(d.greet); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// ask sends a message and returns the next one.
func (c *conn) ask(message string) ([]byte, error) {
	c.patient(patience)
	if err := c.write(text(message)); err != nil {
		return nil, err
	}
	reply, err := c.read()
	if err != nil {
		return nil, err
	}
	if bytes.Contains(reply, []byte(`"error"`)) {
		return nil, fmt.Errorf("the answer to %s is %s", message, reply)
	}
	return reply, nil
}

// each calls f for each message in one that was read.
func (d *Dialect) each(read []byte, f func([]byte) error) error {
	if !d.many {
		return f(read)
	}
	for line := range bytes.Lines(read) {
		if line = bytes.TrimSpace(line); len(line) == 0 || bytes.Equal(line, []byte("{}")) {
			continue // a ping
		}
		if err := f(line); err != nil {
			return err
		}
	}
	return nil
}

// numbered returns a payload of 128 bytes that begins with its number.
func numbered(n int) string {
	s := `{"n":` + strconv.Itoa(n) + `,"fill":"`
	return s + strings.Repeat("x", 128-len(s)-2) + `"}`
}

var errPayload = errors.New("an event has a wrong payload")

// number reads what numbered has written.
func number(payload []byte) (int, error) {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"n":`))
	if !ok || len(payload) < 128 {
		return 0, errPayload
	}
	n := 0
	for _, b := range rest {
		if b == ',' {
			return n, nil
		}
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int(b-'0')
	}
	return 0, errPayload
}
