package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/conformance"
)

// runVectors runs the vectors that the transport does not omit. All talk to
// one server: rooms, topics and gates have names of their own in each.
func runVectors(t *testing.T, tr Transport) {
	all, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	cases := applicable(t, all, tr.Omit)
	d := tr.Serve(t, NewServer(t))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { runCase(t, &tr, d, c) })
	}
}

// applicable returns the cases that are not omitted.
func applicable(t *testing.T, all []conformance.Case, omit map[string]string) []conformance.Case {
	t.Helper()
	used := make(map[string]int)
	var run []conformance.Case
	for _, c := range all {
		by := ""
		for _, n := range c.Needs {
			if _, out := omit["needs "+string(n)]; out {
				by = "needs " + string(n)
			}
		}
		if _, out := omit[c.Name]; out {
			by = c.Name
		}
		if by == "" {
			run = append(run, c)
		}
		used[by]++
	}
	for name, reason := range omit {
		switch {
		case used[name] == 0 && !isBehaviour(name):
			t.Errorf("Omit has %q, which matches nothing", name)
		case reason == "":
			t.Errorf("Omit has %q without a reason", name)
		case used[name] == 0:
		default:
			t.Logf("%d vectors omitted, %s: %s", used[name], name, reason)
		}
	}
	t.Logf("%d of %d vectors run", len(run), len(all))
	return run
}

// run is one case that runs.
type run struct {
	t     *testing.T
	dial  Dial
	c     conformance.Case
	peers map[string]*peer
	gone  map[string]bool // refused

	captures conformance.Captures
	probes   map[string]uint64 // the last id of a probe in kanava.v1, by client

	tr *Transport
}

func runCase(t *testing.T, tr *Transport, d Dial, c conformance.Case) {
	r := &run{
		t: t, dial: d, c: c, peers: make(map[string]*peer), gone: make(map[string]bool),
		captures: make(conformance.Captures), probes: make(map[string]uint64),
		tr: tr,
	}
	for i := range c.Steps {
		if err := r.step(&c.Steps[i]); err != nil {
			text, _ := json.Marshal(&c.Steps[i])
			t.Fatalf("%s, step %d %.300s\nclient %s: %v", c.File, i+1, text, c.Steps[i].Client, err)
		}
	}
	// Whatever happened, who is still connected is served, and nothing more
	// was on its way.
	for name, p := range r.peers {
		if p.ended {
			continue
		}
		if err := r.probe(name, p); err != nil {
			t.Fatalf("%s, after the last step\nclient %s: %v", c.File, name, err)
		}
	}
}

// peer returns the client of this name, connected.
func (r *run) peer(name string) (*peer, error) {
	if p := r.peers[name]; p != nil {
		return p, nil
	}
	p, err := dialRequest(r.t, r.dial, r.request(name))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	r.peers[name] = p
	return p, nil
}

func (r *run) request(name string) Request {
	o := r.c.Opening(name)
	return Request{Path: o.Path, Headers: o.Headers, Subprotocols: o.Subprotocols}
}

// probe demands that the client is answered, and is told nothing else.
func (r *run) probe(name string, p *peer) error {
	if r.c.Opening(name).Envelope() {
		id := max(r.probes[name], 1<<50) + 1 // no vector uses these ids
		r.probes[name] = id
		if err := p.trySend(fmt.Sprintf(`{"do":"ping","id":%d}`, id)); err != nil {
			return err
		}
		pong := fmt.Sprintf(`{"re":%d}`, id)
		if !r.tr.Stateless {
			return p.tryExpect(pong)
		}
		f, err := p.tryNext() // it also says where topics stand
		if err == nil && !strings.HasPrefix(string(f.Data), strings.TrimSuffix(pong, "}")) {
			err = fmt.Errorf("got %v\nwant the answer %s", f, pong)
		}
		return err
	}
	if err := p.trySend(probe); err != nil {
		return err
	}
	return p.tryExpect(probeAnswer)
}

func (r *run) step(s *conformance.Step) error {
	if s.Refused != nil {
		_, err := dialRequest(r.t, r.dial, r.request(s.Client))
		return checkRefusal(err, s.Refused)
	}
	p, err := r.peer(s.Client)
	if err != nil {
		return err
	}
	switch {
	case s.Opened != nil:
		return checkOpened(p.Client, s.Opened)
	case s.ExpectNone:
		return r.probe(s.Client, p)
	case s.Greet != nil:
		return greet(r.tr, p, s.Greet)
	case s.Send != nil:
		return p.trySend(*s.Send)
	case s.SendLike != nil:
		text, err := r.captures.Fill(s.SendLike)
		if err != nil {
			return err
		}
		return p.trySend(string(text))
	case s.SendRepeat != nil:
		return p.trySend(s.SendRepeat.Text())
	case s.SendBinary != nil:
		return p.Send(r.t.Context(), *s.SendBinary, true)
	case s.SendRaw != nil:
		return sendRaw(p.Client, *s.SendRaw)
	case s.SendRawRepeat != nil:
		return sendRaw(p.Client, s.SendRawRepeat.Bytes())
	case s.SendClose != nil:
		p.ended = true
		return p.Close(s.SendClose.Code, s.SendClose.Reason)
	case s.Leave:
		p.ended = true
		p.Cut()
		return nil
	}
	f, err := p.tryNext()
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	p.ended = f.Kind == KindClosed
	f.Data = r.tr.opened(f.Data)
	if s.Close != nil && f.Kind == KindClosed { // what the client was not told
		switch enveloped := r.c.Opening(s.Client).Envelope(); {
		case enveloped && r.tr.NoReasons:
			f.Reason = s.Close.ReasonPrefix
		case !enveloped && r.tr.NoPlainCodes:
			f.Code = s.Close.Code
		}
	}
	problem := check(s, f)
	if problem == "" && s.ExpectLike != nil {
		problem = r.captures.Match(s.ExpectLike, f.Data)
	}
	if problem != "" {
		return fmt.Errorf("%s\ngot %v", problem, f)
	}
	return nil
}

// checkOpened demands that the client was told this.
func checkOpened(c Client, want *conformance.Opened) error {
	if got := c.Subprotocol(); got != want.Subprotocol {
		return fmt.Errorf("the server chose the subprotocol %q", got)
	}
	if want.Extensions == nil {
		return nil
	}
	extended, ok := c.(ExtendedClient)
	if !ok {
		return errors.New("this client knows no extensions: omit \"needs rfc7692\"")
	}
	if got := extended.Extensions(); got != *want.Extensions {
		return fmt.Errorf("the server agreed to the extensions %q", got)
	}
	return nil
}

// greet says hello, and demands the greeting of kanava.v1.
func greet(tr *Transport, p *peer, h *conformance.Hello) error {
	hello, err := json.Marshal(map[string]any{"hello": h})
	if err != nil {
		return err
	}
	if err := p.trySend(string(hello)); err != nil {
		return err
	}
	for _, want := range []string{
		`{"open":{"id":"$*","max":65536,"calls":32,"ping":"$*","keep":0,"keys":"$*","contract":"$*","has":"$*","$*":0}}`,
		`{"push":"","$*":0}`,
	} {
		f, err := p.tryNext()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		p.ended = f.Kind == KindClosed
		f.Data = tr.opened(f.Data)
		if problem := make(conformance.Captures).Match(jsontext.Value(want), f.Data); problem != "" || f.Kind != KindText {
			return fmt.Errorf("%s\ngot %v", problem, f)
		}
	}
	return nil
}

// opened returns a frame with the period of pings and the largest message that
// vectors have.
func (tr *Transport) opened(frame []byte) []byte {
	if !bytes.HasPrefix(frame, []byte(`{"open":`)) {
		return frame
	}
	if tr.Stateless {
		frame = bytes.Replace(frame, []byte(`"keep":300000,`), []byte(`"keep":0,`), 1)
	}
	if tr.MaxFrame > 0 {
		frame = bytes.Replace(frame, fmt.Appendf(nil, `"max":%d,`, tr.MaxFrame), []byte(`"max":65536,`), 1)
	}
	return frame
}

func sendRaw(c Client, p []byte) error {
	raw, ok := c.(RawClient)
	if !ok {
		return errors.New("this client cannot send raw bytes: omit \"needs rfc6455\"")
	}
	return raw.SendRaw(p)
}

// check returns what is wrong with the frame f, "" if it is what s expects.
func check(s *conformance.Step, f Frame) string {
	want := KindText
	switch {
	case s.ExpectBinary != nil:
		want = KindBinary
	case s.ExpectPong != nil:
		want = KindPong
	case s.Close != nil:
		want = KindClosed
	}
	if f.Kind != want {
		return "want a frame of kind " + want.String()
	}
	switch {
	case s.Expect != nil && string(f.Data) != *s.Expect:
		return "want text " + *s.Expect
	case s.ExpectJSON != nil && !sameJSON(f.Data, s.ExpectJSON):
		return "want JSON " + string(s.ExpectJSON)
	case s.ExpectError != nil:
		return checkError(f.Data, s.ExpectError)
	case s.ExpectBinary != nil && !bytes.Equal(f.Data, *s.ExpectBinary):
		return fmt.Sprintf("want binary %x", *s.ExpectBinary)
	case s.ExpectPong != nil && !bytes.Equal(f.Data, *s.ExpectPong):
		return fmt.Sprintf("want pong %x", *s.ExpectPong)
	case s.Close != nil && (f.Code != s.Close.Code || !strings.HasPrefix(f.Reason, s.Close.ReasonPrefix)):
		return fmt.Sprintf("want closed %d %q…", s.Close.Code, s.Close.ReasonPrefix)
	case s.Close != nil && len(f.Reason) > 123:
		return "the reason is longer than 123 bytes"
	}
	return ""
}

// sameJSON reports whether two JSON texts are equal but for white space, the
// order of members and how strings and numbers are written.
func sameJSON(a, b []byte) bool {
	x, y := jsontext.Value(bytes.Clone(a)), jsontext.Value(bytes.Clone(b))
	return x.Canonicalize() == nil && y.Canonicalize() == nil && bytes.Equal(x, y)
}

// errorObject is an error as it is sent.
type errorObject struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Pointer string `json:"pointer"`
		Message string `json:"message"`
	} `json:"details"`
	RetryAfter int `json:"retryAfter"`
}

// checkError returns what is wrong with an error frame.
func checkError(data []byte, want *conformance.Error) string {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(data, &members); err != nil {
		return "an error frame is an object: " + err.Error()
	}
	name := "error"
	if want.Re != nil {
		name = "err"
		if string(members["re"]) != fmt.Sprint(*want.Re) {
			return fmt.Sprintf("want an error of the id %d", *want.Re)
		}
		delete(members, "re")
	}
	var e errorObject
	if err := json.Unmarshal(members[name], &e, json.RejectUnknownMembers(true)); err != nil {
		return "it has no error object: " + err.Error()
	}
	delete(members, name)
	var action string
	if raw, ok := members[want.Key]; ok {
		if err := json.Unmarshal(raw, &action); err != nil || action == "" {
			return "its member " + want.Key + " names no function"
		}
		delete(members, want.Key)
	}
	switch {
	case len(members) > 0:
		return "it has more members than it should"
	case action != want.Action:
		return fmt.Sprintf("want an error of the action %q", want.Action)
	case e.RetryAfter != want.RetryAfter:
		return fmt.Sprintf("want retryAfter %d", want.RetryAfter)
	case want.Hides != "" && bytes.Contains(data, []byte(want.Hides)):
		return "it tells what clients should not know"
	}
	return checkErrorObject(&e, want.Code, want.Pointers)
}

func checkErrorObject(e *errorObject, code string, pointers []string) string {
	var got []string
	for _, d := range e.Details {
		if d.Message == "" {
			return "a detail has no message"
		}
		got = append(got, d.Pointer)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	want := slices.Clone(pointers)
	slices.Sort(want)
	switch {
	case e.Code != code:
		return "want the code " + code
	case e.Message == "":
		return "it has no message"
	case !reflect.DeepEqual(got, want):
		return fmt.Sprintf("want details at %q", want)
	}
	return ""
}

// checkRefusal demands that err is this refusal.
func checkRefusal(err error, want *conformance.Refused) error {
	var ref *RefusedError
	if !errors.As(err, &ref) {
		return fmt.Errorf("it was not refused: %w", err)
	}
	var body struct {
		Error errorObject `json:"error"`
	}
	switch err := json.Unmarshal(ref.Body, &body, json.RejectUnknownMembers(true)); {
	case err != nil:
		return fmt.Errorf("%w: %w", ref, err)
	case ref.Status != want.Status:
		return fmt.Errorf("%w\nwant the status %d", ref, want.Status)
	case want.Hides != "" && bytes.Contains(ref.Body, []byte(want.Hides)):
		return fmt.Errorf("%w\nit tells what clients should not know", ref)
	}
	if problem := checkErrorObject(&body.Error, want.Code, want.Pointers); problem != "" {
		return fmt.Errorf("%w\n%s", ref, problem)
	}
	return nil
}

// checkErrorCode is checkError for a frame that has no action and no details.
func checkErrorCode(data []byte, code string) string {
	return checkError(data, &conformance.Error{Code: code, Key: "action"})
}
