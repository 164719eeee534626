package standin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// queued is how many frames may wait for a client; one more ends its connection.
const queued = 1000

// frame is what is written to a client: data, or the end of the connection.
type frame struct {
	kind websocket.MessageType
	data []byte

	end    bool
	code   websocket.StatusCode
	reason string
}

// connection is one of a client. Its fields do not change once it is open, but
// those under the locks.
type connection struct {
	service           *Service
	id, hub, user     string
	host, subprotocol string
	roles             []string
	cut               context.CancelFunc // breaks it off
	out               chan frame
	ended             chan struct{} // closed when nothing more is read

	groups map[string]bool // guarded by service.mu

	mu     sync.Mutex
	state  string          // guarded by mu
	number int             // guarded by mu: of the last event
	acked  map[uint64]bool // guarded by mu: requests of the client that were done
}

func (c *connection) getState() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// keepState keeps what the answer to an event says.
func (c *connection) keepState(h http.Header) {
	if values := h.Values("ce-connectionState"); len(values) == 1 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.state = values[0]
	}
}

// next is the number of the next event; connect has 0.
func (c *connection) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return c.number
}

// notify sends an event that the connection does not wait for.
func (c *connection) notify(name string, d data) {
	ev := event{number: c.next(), kind: "sys", name: name, data: d}
	c.service.running.Go(func() {
		_, _ = c.service.send(context.Background(), c, ev) // the service logs what fails
	})
}

// may reports whether one of the connection's roles allows something with a group.
func (c *connection) may(role, group string) bool {
	return slices.Contains(c.roles, role) || slices.Contains(c.roles, role+"."+group)
}

// push queues a frame. A client that does not read is cut off.
func (c *connection) push(f frame) {
	select {
	case c.out <- f:
	default:
		c.cut()
	}
}

// deliver queues data as the client's protocol has it; head is what stands around
// it in json.webpubsub.azure.v1.
func (c *connection) deliver(d data, head map[string]any) {
	if c.subprotocol == jsonProtocol {
		m := map[string]any{"type": "message", "dataType": d.kind, "data": d.value()}
		maps.Copy(m, head)
		c.tell(m)
		return
	}
	kind := websocket.MessageText
	if d.kind == "binary" {
		kind = websocket.MessageBinary
	}
	c.push(frame{kind: kind, data: d.bytes})
}

func (c *connection) tell(object map[string]any) {
	c.push(frame{kind: websocket.MessageText, data: encode(object)})
}

// close ends the connection from the service's side.
func (c *connection) close(reason string) {
	c.end(websocket.StatusNormalClosure, reason)
}

func (c *connection) end(code websocket.StatusCode, reason string) {
	if c.subprotocol == jsonProtocol {
		c.tell(map[string]any{"type": "system", "event": "disconnected", "message": reason})
	}
	c.push(frame{end: true, code: code, reason: reason})
}

// write writes frames in order, until one ends the connection or nothing more is
// read from it.
func (c *connection) write(ctx context.Context, socket *websocket.Conn) {
	for {
		select {
		case f := <-c.out:
			if f.end {
				_ = socket.Close(f.code, f.reason)
				return
			}
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := socket.Write(ctx, f.kind, f.data)
			cancel()
			if err != nil {
				c.cut()
				return
			}
		case <-c.ended:
			return
		}
	}
}

// read takes what the client sends, one after the other, and returns why it ended.
func (c *connection) read(ctx context.Context, socket *websocket.Conn) string {
	for {
		kind, b, err := socket.Read(ctx)
		if err != nil {
			if end, ok := errors.AsType[websocket.CloseError](err); ok {
				return strings.TrimSpace(end.Code.String() + " " + end.Reason)
			}
			return "the WebSocket broke off"
		}
		if c.subprotocol == jsonProtocol {
			if !c.serve(ctx, kind, b) {
				c.end(websocket.StatusInvalidFramePayloadData, "not a message of "+jsonProtocol)
			}
			continue
		}
		d := data{"text", b}
		if kind == websocket.MessageBinary {
			d.kind = "binary"
		}
		if !c.userEvent(ctx, "message", d) {
			c.end(websocket.StatusInternalError, "the event failed")
		}
	}
}

// userEvent sends what the client has said to the handler, waits for the answer and
// delivers that. It reports whether it went well.
func (c *connection) userEvent(ctx context.Context, name string, d data) bool {
	res, err := c.service.send(ctx, c, event{c.next(), "user", name, d})
	if err != nil || !res.ok() {
		return false
	}
	kind, known := kindOf(res.header.Get("Content-Type"))
	if len(res.body) > 0 && !known {
		return false
	}
	c.keepState(res.header)
	if len(res.body) > 0 {
		c.deliver(data{kind, res.body}, map[string]any{"from": "server"})
	}
	return true
}
