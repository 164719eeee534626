// Package run_test holds the dialogues of the guide's pages.
//
// A dialogue is lines of these forms; those of several clients begin with the
// client's name, and # begins a line that is for readers only:
//
//	connect /chat?room=general    opens a connection
//	refused 401 {"error":…}       the answer, if the connection is refused
//	> {"action":"x"}              the client sends a text message
//	< {"action":"x"}              the next frame is this, byte for byte
//	> bytes 01ff                  the same for binary messages
//	nothing                       nothing more comes
//	closed 4403 members only      the server closes, with this reason
//	leave                         the client closes
//	POST /jobs {"name":"x"}       a request to a function over HTTP, with this body
//	with Cookie: a=b              a header of the connect or the request above
//	answer 200 {"id":"1"}         its answer
//	| data: {"percent":0}         the next line of an answer of several, which are not empty
package run_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/httpfunc"
)

type dialogue struct {
	page      string
	line      int
	newServer func() kanava.Dispatcher
	text      string
}

func TestDialogues(t *testing.T) {
	for _, d := range dialogues {
		t.Run(fmt.Sprintf("%s:%d", d.page, d.line), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, d.hold) // times in frames are exact
		})
	}
}

// Tests that a page shows pass.
func TestTests(t *testing.T) {
	for name, test := range tests {
		t.Run(name, test)
	}
}

func (d dialogue) hold(t *testing.T) {
	h := holder{srv: d.newServer(), clients: make(map[string]*kanavatest.Client)}
	lines := strings.Split(strings.TrimSpace(d.text), "\n")
	for i := 0; i < len(lines); i++ {
		at := fmt.Sprintf("%s:%d", d.page, d.line+i)
		var with []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "with ") {
			i++
			with = append(with, strings.TrimPrefix(lines[i], "with "))
		}
		t.Log(at, lines[i]) // shown if the next step ends the test
		h.step(t, at, lines[i-len(with)], with)
	}
	if h.refusal != "" {
		t.Errorf("%s: refused: %s", d.page, h.refusal)
	}
	if len(h.lines) > 0 {
		t.Errorf("%s: not in the answer: %q", d.page, h.lines)
	}
}

// holder holds one dialogue.
type holder struct {
	srv     kanava.Dispatcher
	clients map[string]*kanavatest.Client
	refusal string
	lines   []string // of an answer
}

var verbs = map[string]bool{"connect": true, "refused": true, ">": true, "<": true, "nothing": true, "closed": true, "leave": true,
	"GET": true, "POST": true, "PUT": true, "DELETE": true, "answer": true, "|": true}

func (h *holder) step(t *testing.T, at, line string, with []string) {
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	name, verb, rest := "", "", line
	if verb, rest, _ = strings.Cut(line, " "); !verbs[verb] {
		name = verb
		verb, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	}
	c := h.clients[name]
	if c == nil && !isHTTP[verb] && verb != "connect" && verb != "refused" {
		t.Fatalf("%s: %q: no such client or verb", at, line)
	}
	switch verb {
	case "GET", "POST", "PUT", "DELETE":
		h.request(t, verb, rest, with)
	case "answer", "|":
		if len(h.lines) == 0 || h.lines[0] != rest {
			t.Fatalf("%s: answered with\n\t%q\nnot\n\t%q", at, h.lines, rest)
		}
		h.lines = h.lines[1:]
	case "connect":
		h.connect(t, name, rest, with)
	case "refused":
		if h.refusal != rest {
			t.Errorf("%s: refused with\n\t%s\nnot\n\t%s", at, h.refusal, rest)
		}
		h.refusal = ""
	case ">":
		if bytes, ok := strings.CutPrefix(rest, "bytes "); ok {
			p, err := hex.DecodeString(bytes)
			if err != nil {
				t.Fatal(at, err)
			}
			c.SendBinary(p)
		} else {
			c.SendText(rest)
		}
	case "<":
		f, ok := c.NextFrame()
		got := string(f.Data)
		if f.Binary {
			got = "bytes " + hex.EncodeToString(f.Data)
		}
		if !ok || got != rest {
			t.Errorf("%s: got (%v)\n\t%s\nnot\n\t%s", at, ok, got, rest)
		}
	case "nothing":
		c.ExpectNone()
	case "leave":
		c.Leave()
	case "closed":
		text, reason, _ := strings.Cut(rest, " ")
		code, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(at, err)
		}
		if got := c.ExpectClose(kanava.CloseCode(code)); got != reason {
			t.Errorf("%s: closed with %q", at, got)
		}
	default:
		t.Fatalf("%s: unknown verb %q", at, verb)
	}
}

var isHTTP = map[string]bool{"GET": true, "POST": true, "PUT": true, "DELETE": true, "answer": true, "|": true}

// request asks a function over HTTP. The lines of the answer are its status, with
// the body if that is one line, and the others that are not empty.
func (h *holder) request(t *testing.T, method, rest string, with []string) {
	target, body, _ := strings.Cut(rest, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Host = "example.com"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range with {
		key, value, _ := strings.Cut(header, ": ")
		r.Header.Set(key, value)
	}
	rec := httptest.NewRecorder()
	httpfunc.Handler(h.srv.(kanava.HTTPDispatcher), httpfunc.Options{}).ServeHTTP(rec, r)
	first, text := strconv.Itoa(rec.Code), rec.Body.String()
	if !strings.Contains(text, "\n") {
		first, text = strings.TrimSpace(first+" "+text), ""
	}
	h.lines = []string{first}
	for line := range strings.Lines(text) {
		if line != "\n" {
			h.lines = append(h.lines, strings.TrimSuffix(line, "\n"))
		}
	}
}

func (h *holder) connect(t *testing.T, name, target string, with []string) {
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	req := &kanava.OpenRequest{URL: u, Host: "example.com", Header: make(http.Header)}
	for _, header := range with {
		key, value, _ := strings.Cut(header, ": ")
		req.Header.Set(key, value)
		if token, ok := strings.CutPrefix(value, "Bearer "); ok && key == "Authorization" {
			req.Token = token
		}
	}
	c, err := kanavatest.DialRequest(t, h.srv, req)
	if err != nil {
		rec := httptest.NewRecorder()
		httperr.Write(rec, err)
		h.refusal = fmt.Sprintf("%d %s", rec.Code, rec.Body)
		if e := new(kanava.Error); !errors.As(err, &e) {
			t.Fatal(err)
		}
		return
	}
	h.clients[name] = c
}
