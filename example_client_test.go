package kanava_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/kanava-go/kanava"
)

// exampleClient is a client in memory, for the examples: it says what it is
// told and returns what it is sent. Tests of a program use package kanavatest,
// which does the same and more; how a transport works shows ExampleDispatcher.
type exampleClient struct {
	link  *kanava.Link
	woken chan struct{}
	inbox []kanava.Frame
}

// connect opens the channel at target and starts the connection.
func connect(d kanava.Dispatcher, target string) *exampleClient {
	c, err := connectAs(d, target, "")
	if err != nil {
		panic(err)
	}
	return c
}

// connectAs connects with a credential, as an Authorization header carries it.
func connectAs(d kanava.Dispatcher, target, token string) (*exampleClient, error) {
	return connectWith(d, target, &kanava.OpenRequest{Token: token})
}

// connectV1 connects as a generated client does.
func connectV1(d kanava.Dispatcher, target string) *exampleClient {
	c, err := connectWith(d, target, &kanava.OpenRequest{Subprotocols: []string{"kanava.v1"}})
	if err != nil {
		panic(err)
	}
	c.ask(`{"hello":{}}`) // answered: open
	c.next()              // OnConnect is over
	return c
}

func connectWith(d kanava.Dispatcher, target string, req *kanava.OpenRequest) (*exampleClient, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	c := &exampleClient{woken: make(chan struct{}, 1)}
	req.URL, req.Host, req.Header = u, "example.com", http.Header{}
	if c.link, err = d.Open(context.Background(), req, c); err != nil {
		return nil, err
	}
	c.link.Start()
	return c, nil
}

// Wake implements kanava.Peer.
func (c *exampleClient) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// tell sends a text message.
func (c *exampleClient) tell(message string) { c.link.Receive([]byte(message), false) }

// ask sends a text message and returns the next frame.
func (c *exampleClient) ask(message string) string {
	c.tell(message)
	return c.next()
}

// next waits for the next frame, or for the end of the connection.
func (c *exampleClient) next() string {
	for len(c.inbox) == 0 {
		frames, closing := c.link.Take(nil, 64<<10)
		if closing != nil {
			c.link.Disconnect(closing.Code, closing.Reason)
			<-c.link.Done()
			return fmt.Sprintf("closed: %d %s", closing.Code, closing.Reason)
		}
		if c.inbox = frames; len(frames) == 0 {
			<-c.woken
		}
	}
	f := c.inbox[0]
	c.inbox = c.inbox[1:]
	if f.Binary {
		return fmt.Sprintf("bytes: %x", f.Data)
	}
	return string(f.Data)
}

// leave ends the connection and waits for OnDisconnect.
func (c *exampleClient) leave() {
	c.link.Disconnect(kanava.CloseGoingAway, "")
	<-c.link.Done()
}

// quiet is a logger for examples in which something goes wrong on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
