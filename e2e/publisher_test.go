package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// publisher announces numbers to the room: 1, 2, 3 and so on. It speaks the
// plain form, straight to the server, and goes on only when the server has
// said that a number is out. So it knows what everybody has to see.
type publisher struct {
	t    *testing.T
	s    *chatServer
	conn net.Conn
	in   io.Reader
	last int       // the last number that is out
	good time.Time // until when it is signed in
}

func newPublisher(t *testing.T, s *chatServer) *publisher {
	t.Helper()
	p := &publisher{t: t, s: s}
	t.Cleanup(p.hangUp)
	return p
}

// connect opens a connection and signs in.
func (p *publisher) connect() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	var err error
	var early *bufio.Reader // what came with the answer to the handshake
	p.conn, early, _, err = ws.Dial(ctx, "ws://"+p.s.addr+"/chat?room=elsewhere")
	if err != nil {
		p.t.Fatal(err)
	}
	p.in = p.conn
	if early != nil {
		p.in = early
	}
	p.next() // the welcome
	p.signIn()
}

func (p *publisher) signIn() {
	p.t.Helper()
	token, err := tokenFrom(p.t.Context(), p.s.url("/token"), "publisher", "admin")
	if err != nil {
		p.t.Fatal(err)
	}
	p.good = time.Now().Add(session / 2)
	p.ask(fmt.Sprintf(`{"action":"authenticate","token":%q}`, token), `{"authenticated":true,"action":"authenticate"}`)
}

// hangUp ends the connection; there need not be one.
func (p *publisher) hangUp() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// publish announces the next n numbers, one after the other, with a pause.
func (p *publisher) publish(n int, pause time.Duration) {
	p.t.Helper()
	for range n {
		if time.Now().After(p.good) {
			p.signIn()
		}
		p.ask(fmt.Sprintf(`{"action":"broadcast","room":"general","message":"%d"}`, p.last+1), `{"action":"broadcast"}`)
		p.last++
		time.Sleep(pause) // what is tested is the traffic of some time
	}
}

func (p *publisher) ask(frame, want string) {
	p.t.Helper()
	_ = p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := wsutil.WriteClientText(p.conn, []byte(frame)); err != nil {
		p.t.Fatal(err)
	}
	if got := p.next(); !sameJSON(got, []byte(want)) {
		p.t.Fatalf("publisher: %s was answered with %s", frame, got)
	}
}

func (p *publisher) next() []byte {
	p.t.Helper()
	_ = p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	got, err := wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{p.in, p.conn})
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	m, _ := json.Marshal(x)
	n, _ := json.Marshal(y)
	return bytes.Equal(m, n)
}
