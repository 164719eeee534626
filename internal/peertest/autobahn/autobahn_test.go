// Package autobahn_test holds conversations with autobahn, a WebSocket library
// for Python, in both roles: its client talks to our server (server_test.go),
// and its server to the frames of our side (client_test.go). Cases are named
// after the section of RFC 6455 that they prove, or of RFC 7692.
package autobahn_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. Nothing takes
// anywhere near as long.
const patience = 20 * time.Second

// A foreignCase is what autobahn is told to do with one connection.
type foreignCase struct {
	// Of a client: where to connect, and how.
	URL       string            `json:"url,omitempty"`
	Origin    string            `json:"origin,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Protocols []string          `json:"protocols,omitempty"`
	Version   int               `json:"version,omitempty"` // of the drafts: 18 is the RFC
	Deflate   map[string]any    `json:"deflate,omitzero"`  // arguments of PerMessageDeflateOffer

	// Of a server: the subprotocol to take, and to send messages back, in
	// fragments of so many bytes.
	Protocol string `json:"protocol,omitempty"`
	Echo     bool   `json:"echo,omitempty"`
	Fragment int    `json:"fragment,omitempty"`

	// Of both: what to send when the connection is open.
	Steps []step `json:"steps,omitempty"`
}

// A step is one thing that autobahn does.
type step struct {
	Do        string `json:"do"`              // frame, bytes, message, ping, close, drop, cut
	Await     int    `json:"await,omitempty"` // how much must have come before: messages, pings and pongs
	Data      string `json:"data,omitempty"`  // base64
	Op        int    `json:"op,omitempty"`
	More      bool   `json:"more,omitempty"` // FIN is not set
	RSV       int    `json:"rsv,omitempty"`
	Chop      int    `json:"chop,omitempty"` // bytes of one write
	WrongMask bool   `json:"wrongMask,omitempty"`
	Binary    bool   `json:"binary,omitempty"`
	Fragment  int    `json:"fragment,omitempty"` // bytes of a frame of the message
	Code      int    `json:"code,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

func coded(data string) string { return base64.StdEncoding.EncodeToString([]byte(data)) }

// The opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

func frame(op int, data string) step { return step{Do: "frame", Op: op, Data: coded(data)} }

// more is a frame that does not end its message.
func more(op int, data string) step {
	s := frame(op, data)
	s.More = true
	return s
}

func rsv(bits int, s step) step { s.RSV = bits; return s }

func chopped(size int, s step) step { s.Chop = size; return s }

func raw(data string) step { return step{Do: "bytes", Data: coded(data)} }

func message(data string, binary bool, fragment int) step {
	return step{Do: "message", Data: coded(data), Binary: binary, Fragment: fragment}
}

func ping(data string) step { return step{Do: "ping", Data: coded(data)} }

func closing(code int, reason string) step { return step{Do: "close", Code: code, Reason: reason} }

// after lets a step wait until so much has come.
func after(n int, s step) step { s.Await = n; return s }

// A report is what autobahn tells of a connection that has ended.
type report struct {
	Opened     bool     `json:"opened"`
	Refused    string   `json:"refused"` // why there is no connection
	Protocol   string   `json:"protocol"`
	Extensions []string `json:"extensions"`
	Got        []came   `json:"got"`
	Code       int      `json:"code"` // of the close frame; 0: none came, or it had none
	Reason     string   `json:"reason"`
	Clean      bool     `json:"clean"`   // both close frames, and then the server ended the connection
	Unclean    string   `json:"unclean"` // why not
	Wire       int      `json:"wire"`    // payload bytes of the messages that came, as they stood in frames
	Fault      string   `json:"fault"`   // the rule that was broken on this side of the wire
}

// came is a message or a control frame.
type came struct {
	Kind string `json:"kind"` // text, binary, ping, pong
	Data []byte `json:"data"`
}

// peer is a running peer.py.
type peer struct {
	in      io.WriteCloser
	reports chan report
}

// startPeer starts autobahn in a role. It ends with the test.
func startPeer(t *testing.T, role string) (p *peer, first []byte) {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import autobahn.twisted.websocket").CombinedOutput(); err != nil {
		t.Fatalf("%s has no autobahn with Twisted: install Debian's package python3-autobahn and set PYTHON=/usr/bin/python3\n%v\n%s", python, err, out)
	}
	cmd := exec.Command(python, "peer.py", role) // t.Context ends before the cleanups
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p = &peer{in, make(chan report, 1)}
	lines := bufio.NewReader(out)
	if role == "server" {
		if first, err = lines.ReadBytes('\n'); err != nil {
			t.Errorf("the first line of peer.py: %v", err)
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.reports)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var r report
			if err := json.Unmarshal(line, &r); err != nil {
				t.Errorf("peer.py says %.200q: %v", line, err)
				return
			}
			p.reports <- r
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range p.reports { // of a test that failed
		}
		<-read
		_ = cmd.Wait() // killed
	})
	return p, first
}

// report waits for the report of a connection.
func (p *peer) report(t *testing.T) report {
	t.Helper()
	select {
	case r, ok := <-p.reports:
		if !ok {
			t.Fatal("peer.py has ended")
		}
		return r
	case <-time.After(patience):
		t.Fatal("autobahn does not report the end of the connection")
	}
	return report{}
}

// wantFaultless demands that autobahn found nothing wrong with what we sent.
func (r report) wantFaultless(t *testing.T) {
	t.Helper()
	if r.Fault != "" {
		t.Errorf("autobahn finds fault with us: %s", r.Fault)
	}
}

// wantCame compares what came to who.
func wantCame(t *testing.T, who string, got []came, want ...came) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Errorf("%s did not get %s", who, want[i])
		case i >= len(want):
			t.Errorf("%s got %s, and should not", who, got[i])
		case got[i].Kind != want[i].Kind || string(got[i].Data) != string(want[i].Data):
			t.Errorf("%s got %s, want %s", who, got[i], want[i])
		}
	}
}

// wantGot compares what autobahn was sent.
func (r report) wantGot(t *testing.T, want ...came) {
	t.Helper()
	wantCame(t, "autobahn", r.Got, want...)
}

func (c came) String() string {
	if len(c.Data) > 80 {
		return fmt.Sprintf("%s of %d bytes, %q...", c.Kind, len(c.Data), c.Data[:20])
	}
	return fmt.Sprintf("%s %q", c.Kind, c.Data)
}

func text(s string) came   { return came{"text", []byte(s)} }
func binary(s string) came { return came{"binary", []byte(s)} }
func pong(s string) came   { return came{"pong", []byte(s)} }

// jsonText is a JSON string of size bytes, with a character of two bytes at
// its end: wherever a frame cuts it, the parts have to be put together.
func jsonText(size int) string {
	return `"` + strings.Repeat("x", size-4) + `é"`
}
