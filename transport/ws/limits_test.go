package ws

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// What a client can send without end, and is no message, is charged to its
// rate: a flood of it is closed with 4429.
func TestFloodsAreClosed(t *testing.T) {
	for name, flood := range map[string][]byte{
		"pings":          masked(true, ws.OpPing, "x"),
		"pongs":          masked(true, ws.OpPong, ""),
		"empty messages": message(""),
		"empty parts":    masked(false, ws.OpContinuation, ""),
		"small parts":    masked(false, ws.OpContinuation, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := kanava.NewServer(kanava.Options[kanava.None]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 0.1, Burst: 50}}})
			srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "echo", Route: "/echo", Public: true})
			t.Cleanup(func() {
				if err := srv.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
			_, c := shake(t, Handler(srv, Options{}), request())
			if strings.HasSuffix(name, "parts") {
				c.write(masked(false, ws.OpText, "x"))
			} else {
				c.write(flood)
			}
			c.write(bytes.Repeat(flood, 59)) // 50 are allowed, the next nine forgiven
			for {
				f := c.read()
				if f.Header.OpCode == ws.OpPong {
					continue
				}
				code, reason := ws.ParseCloseFrameData(f.Payload)
				if f.Header.OpCode != ws.OpClose || code != 4429 || !strings.HasPrefix(reason, "rate_limited ") {
					t.Errorf("read opcode %#x: %d %q", f.Header.OpCode, code, reason)
				}
				return
			}
		})
	}
}

// A client that announces a body and does not send it is answered and cut at
// once: net/http would wait for the body.
func TestRefusedUpgradeDoesNotWaitForABody(t *testing.T) {
	d := newEcho(t)
	web := httptest.NewServer(Handler(d, Options{}))
	defer web.Close()
	nc, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.write([]byte(request("Content-Length", "100000")))
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	all, err := io.ReadAll(nc)
	if err != nil || !strings.Contains(string(all), http.StatusText(http.StatusBadRequest)) || !strings.Contains(string(all), "has no body") {
		t.Errorf("read %q, %v", all, err)
	}
}
