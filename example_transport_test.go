package kanava_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/kanava-go/kanava"
)

// pipe is a transport: each line that is read is a message, each frame is
// written as a line. It is about the least that a transport can be.
type pipe struct {
	link *kanava.Link
	news chan struct{} // the two hold one
	room chan struct{}
}

// Wake is called when the link has frames, or room for messages again. It must
// not block, so it leaves a note for the loops in write and read.
func (p *pipe) Wake() {
	for _, note := range []chan struct{}{p.news, p.room} {
		select {
		case note <- struct{}{}:
		default:
		}
	}
}

// servePipe runs one connection until in ends or the server closes it.
func servePipe(d kanava.Dispatcher, target string, in io.Reader, out io.Writer) error {
	kanava.Attach(d) // where clients are to be generated, the program ends here
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	p := &pipe{news: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	if p.link, err = d.Open(context.Background(), &kanava.OpenRequest{URL: u}, p); err != nil {
		return err // an *Error: it says what to tell the client
	}
	p.link.Start()
	go p.read(in)
	p.write(out)
	return nil
}

// read gives messages to the link while that has room for them.
func (p *pipe) read(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if p.link.Receive(lines.Bytes(), false) {
			continue
		}
		for p.link.Full() {
			<-p.room
		}
	}
	p.link.Disconnect(kanava.CloseGoingAway, "")
}

// write takes frames whenever the link has some.
func (p *pipe) write(out io.Writer) {
	for {
		select {
		case <-p.link.Done(): // OnDisconnect has returned
			return
		case <-p.news:
		}
		for {
			frames, closing := p.link.Take(nil, 64<<10)
			if closing != nil {
				p.link.Disconnect(closing.Code, closing.Reason)
				fmt.Fprintf(out, "closed: %d\n", closing.Code)
			}
			if len(frames) == 0 {
				break
			}
			for _, f := range frames {
				fmt.Fprintf(out, "%s\n", f.Data)
			}
		}
	}
}

// A transport turns bytes into messages, and frames into bytes; all else is
// the server's. Package transporttest has the tests that a transport has to
// pass.
func ExampleDispatcher() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	upper := func(_ context.Context, _ *Line, in string) (string, error) { return strings.ToUpper(in), nil }
	bye := func(ctx context.Context, ch *Line, _ kanava.None) error {
		return ch.Close(ctx, kanava.CloseNormal, "")
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "upper", Route: "/upper", Public: true,
		OnMessage: kanava.Func(upper),
		Messages:  kanava.By("action", kanava.OnDo("bye", bye)),
	})
	in, client := io.Pipe() // stays open: the server ends the connection
	go io.WriteString(client, `"hello"`+"\n"+`{"action":"bye"}`+"\n")
	fmt.Println(servePipe(srv, "/upper", in, os.Stdout))
	client.Close()
	// Output:
	// "HELLO"
	// {"action":"bye"}
	// closed: 1000
	// <nil>
}
