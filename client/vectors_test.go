package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The vectors of conformance/client, whose README.md says what they mean.
type vector struct {
	Name    string `json:"name"`
	Options struct {
		Timeout  float64 `json:"timeout"`
		Queue    int     `json:"queue"`
		Token    string  `json:"token"`
		Contract string  `json:"contract"`
	} `json:"options"`
	SignIn bool                        `json:"signIn"`
	Random float64                     `json:"random"`
	Steps  []map[string]jsontext.Value `json:"steps"`
}

// vectorFiles are those of all clients.
func vectorFiles() ([]string, error) { return filepath.Glob("../conformance/client/*.json") }

// drops reports whether a connection of the vector ends with a code.
func (v *vector) drops(code string) bool {
	return slices.ContainsFunc(v.Steps, func(step map[string]jsontext.Value) bool { return string(step["drop"]) == code })
}

// A vector's JSON may hold what no Go string can, such as half of a surrogate
// pair, and passes it on as it is.
var raw = json.JoinOptions(jsontext.AllowInvalidUTF8(true), json.RejectUnknownMembers(true))

func TestVectors(t *testing.T) {
	files, err := vectorFiles()
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []vector
		if err := json.Unmarshal(text, &cases, raw); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range cases {
			names = append(names, v.Name)
			for name, by := range map[string]Transport{"": "", "websocket/": WebSocket, "sse/": ServerSentEvents} {
				if by == WebSocket && v.drops("1015") {
					continue // no WebSocket can say so: it is what a program is told
				}
				t.Run(name+filepath.Base(file)+"/"+v.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { runVector(t, v, by) })
				})
			}
		}
	}
	for rule := range strings.FieldsSeq("P1 P3 P8 P10 P11 P13 P14 P15 P18 D5 D6 D7 D9 D12 §3 §5 §6 §8 S3 S4") {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, rule+" ") }) {
			t.Errorf("no vector for %s", rule)
		}
	}
}

// theServer is that of a vector, scripted or wired, and peer its end of a
// connection.
type (
	theServer interface {
		take() peer
		open() int
	}
	peer interface {
		accept()
		text(text string)
		bytes(p []byte)
		drop(code CloseCode)
		next() *message
		isClosed() bool
	}
)

// player runs one vector: it is the server and the application.
type player struct {
	t      *testing.T
	server theServer
	link   peer
	conn   *Conn
	calls  map[string]*played
	asked  map[string]*playedAsk
	subs   map[string]*Subscription // that were made

	mu   sync.Mutex
	told []string
	asks []*playedAsk
}

// played is a call or stream of the application.
type played struct {
	cancel  context.CancelFunc
	release chan bool // a stream that will be left: true goes on

	mu    sync.Mutex
	items []jsontext.Value
	ended bool
	out   jsontext.Value
	err   error
}

func (x *played) hasEnded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended
}

// item returns the first item that was not looked at.
func (x *played) item() (item jsontext.Value, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.items) == 0 {
		return nil, false
	}
	item = x.items[0]
	x.items = x.items[1:]
	return item, true
}

// playedAsk is a call of the server that the application is to answer.
type playedAsk struct {
	ctx    context.Context
	name   string
	in     jsontext.Value
	answer chan func() (jsontext.Value, error)
}

func runVector(t *testing.T, v vector, by Transport) {
	p := &player{t: t, calls: map[string]*played{}, asked: map[string]*playedAsk{}, subs: map[string]*Subscription{}}
	s := settings{
		timeout: 10 * time.Second, queue: 64, random: func() float64 { return v.Random },
	}
	if by == "" {
		server := &scripted{}
		p.server, s.webSocket = server, server.dial
	} else {
		server := &wired{}
		server.settings(&s, by)
		p.server = server
	}
	if v.Options.Timeout > 0 {
		s.timeout = ms(v.Options.Timeout)
	}
	if v.Options.Queue > 0 {
		s.queue = v.Options.Queue
	}
	if v.Options.Token != "" {
		s.token = func(context.Context) (string, error) { return v.Options.Token, nil }
	}
	p.conn = newConn(Spec{Contract: v.Options.Contract}, s)
	if v.SignIn {
		p.conn.settings.authenticate = func(ctx context.Context) error {
			return Do(ctx, p.conn, "", "authenticate", map[string]string{"token": "t"})
		}
	}
	p.listen()
	p.conn.start()
	t.Cleanup(func() {
		p.conn.Close()
		<-p.conn.Done()
	})
	synctest.Wait()
	for i, step := range v.Steps {
		delete(step, "note")
		if len(step) != 1 {
			t.Fatalf("step %d: %d members", i+1, len(step))
		}
		for name, arg := range step {
			if err := p.step(name, arg); err != nil {
				t.Fatalf("step %d, %s %s: %v", i+1, name, arg, err)
			}
		}
		synctest.Wait()
	}
	p.finish()
}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

func (p *player) tell(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprintf(format, args...))
}

// takeTold takes away what was told first, or last if at is -1.
func (p *player) takeTold(at int) (text string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.told) == 0 {
		return "", false
	}
	if at < 0 {
		at = len(p.told) - 1
	}
	text = p.told[at]
	p.told = slices.Delete(p.told, at, at+1)
	return text, true
}

func (p *player) listen() {
	orNull := func(v jsontext.Value) jsontext.Value {
		if v == nil {
			return jsontext.Value("null")
		}
		return v
	}
	position := func(at Position) string { return fmt.Sprintf(`{"e":%q,"o":%d}`, at.Epoch, at.Offset) }
	OnOpened(p.conn, func(v jsontext.Value) { p.tell(`{"opened":%s}`, orNull(v)) })
	p.conn.OnLost(func(l Lost) {
		p.tell(`{"lost":{"topic":%q,"from":%s,"to":%s}}`, l.Topic, position(l.From), position(l.To))
	})
	p.conn.OnBinary(func(b []byte) { p.tell(`{"binary":"%x"}`, b) })
	p.conn.OnDropped(func(d Dropped) { p.tell(`{"dropped":%q}`, d.Action) })
	p.conn.OnError(func(err error) {
		if e, ok := errors.AsType[*Error](err); ok {
			p.tell(`{"error":%q}`, e.Code)
			return
		}
		p.tell(`{"error":%q}`, err)
	})
	OnPush(p.conn, "notice", func(v jsontext.Value) { p.tell(`{"push":{"name":"notice","v":%s}}`, orNull(v)) })
	for _, family := range []string{"room", "other"} {
		p.conn.listen(&Listener{at: listenKey{listenTopic, family}, every: true, tell: func(h *happening) error {
			member := "data"
			if h.binary {
				member = "b64"
			}
			p.tell(`{"event":{"topic":%q,"key":%q,%q:%s}}`, h.topic.Name, h.topic.Key, member, h.data)
			return nil
		}})
	}
	for _, family := range []string{"room", "other"} {
		p.listenPresence(family)
	}
	for _, name := range []string{"confirm", "other"} {
		Handle(p.conn, name, func(ctx context.Context, in jsontext.Value) (jsontext.Value, error) {
			a := &playedAsk{ctx, name, in, make(chan func() (jsontext.Value, error))}
			p.mu.Lock()
			p.asks = append(p.asks, a)
			p.mu.Unlock()
			select {
			case answer := <-a.answer:
				return answer()
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
	}
}

// finish checks that nothing is left over, also of the client itself.
func (p *player) finish() {
	if p.link != nil {
		if m := p.link.next(); m != nil {
			p.t.Errorf("left over: a frame %s", m.data)
		}
	}
	if p.server.take() != nil {
		p.t.Error("left over: a connection")
	}
	p.mu.Lock()
	if len(p.told) > 0 || len(p.asks) > 0 {
		p.t.Errorf("left over: told %v, %d calls of the server", p.told, len(p.asks))
	}
	p.mu.Unlock()
	p.conn.Close()
	<-p.conn.Done()
	if n := p.server.open(); n > 0 {
		p.t.Errorf("%d connections are open after Close", n)
	}
	if n := len(p.conn.timers); n > 0 {
		p.t.Errorf("%d timers after Close", n)
	}
	for _, c := range p.calls {
		c.cancel()
	}
}

func (p *player) of(name string) *played {
	c := p.calls[name]
	if c == nil {
		p.t.Fatalf("there is no call %q", name)
	}
	return c
}

func (p *player) step(name string, arg jsontext.Value) error {
	var text string
	_ = json.Unmarshal(arg, &text, jsontext.AllowInvalidUTF8(true))
	switch name {
	case "connects":
		if p.link = p.server.take(); p.link == nil {
			return errors.New("the client has not connected")
		}
	case "accept":
		p.link.accept()
	case "greet":
		return p.greet(arg)
	case "frame":
		p.link.text(string(arg))
	case "repeat":
		return p.repeat(arg)
	case "text":
		p.link.text(text)
	case "binary":
		p.link.bytes(unhex(text))
	case "expect":
		m := p.link.next()
		if m == nil {
			return errors.New("nothing was sent")
		}
		return sameFrame(m.data, arg)
	case "expectBinary":
		m := p.link.next()
		if m == nil || !m.binary || !bytes.Equal(m.data, unhex(text)) {
			return fmt.Errorf("sent %v", m)
		}
	case "expectNone":
		if p.link != nil {
			if m := p.link.next(); m != nil {
				return fmt.Errorf("sent %s", m.data)
			}
		}
		if p.server.take() != nil {
			return errors.New("it has connected")
		}
	case "drop":
		var code CloseCode
		if err := json.Unmarshal(arg, &code); err != nil {
			return err
		}
		p.link.drop(code)
	case "closed":
		if !p.link.isClosed() {
			return errors.New("it is not closed")
		}
	case "pass":
		var d float64
		if err := json.Unmarshal(arg, &d); err != nil {
			return err
		}
		time.Sleep(ms(d))
	case "call", "stream":
		return p.start(name, arg)
	case "members":
		return p.startMembers(arg)
	case "subscribe":
		return p.subscribe(arg)
	case "unsubscribe":
		p.subs[text].Stop()
	case "abort":
		p.of(text).cancel()
	case "leave":
		c := p.of(text)
		select {
		case c.release <- false:
		default:
			if !c.hasEnded() {
				return errors.New("the loop waits for an item")
			}
		}
	case "result":
		return p.result(arg)
	case "pending":
		if p.of(text).hasEnded() {
			return errors.New("it has ended")
		}
	case "item":
		return p.item(arg)
	case "sendBinary":
		return p.conn.SendBinary(p.t.Context(), unhex(text))
	case "told":
		return p.wasTold(arg)
	case "toldNothing":
		if got, ok := p.takeTold(0); ok {
			return fmt.Errorf("told %v", got)
		}
	case "asked", "answer":
		return p.ask(name, arg)
	case "unasked":
		if p.asked[text].ctx.Err() == nil {
			return errors.New("the handler's context goes on")
		}
	case "state":
		return p.state(arg)
	case "close":
		p.conn.Close()
	default:
		return errors.New("an unknown step")
	}
	return nil
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func same(got, want []byte) error {
	g, w := jsontext.Value(bytes.Clone(got)), jsontext.Value(bytes.Clone(want))
	if err := g.Canonicalize(); err != nil {
		return fmt.Errorf("%s: %w", got, err)
	}
	if err := w.Canonicalize(jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	if !bytes.Equal(g, w) {
		return fmt.Errorf("got %s", g)
	}
	return nil
}

// sameFrame compares frames. An err without message stands for any message.
func sameFrame(got, want []byte) error {
	var g, w map[string]jsontext.Value
	var ge, we map[string]jsontext.Value
	if json.Unmarshal(want, &w) == nil && w["err"] != nil && json.Unmarshal(w["err"], &we) == nil && we["message"] == nil {
		if err := json.Unmarshal(got, &g); err != nil {
			return err
		}
		if err := json.Unmarshal(g["err"], &ge); err != nil {
			return fmt.Errorf("got %s: %w", got, err)
		}
		if len(ge["message"]) < 3 {
			return fmt.Errorf("got %s: no message", got)
		}
		delete(ge, "message")
		g["err"], _ = json.Marshal(ge)
		got, _ = json.Marshal(g)
	}
	return same(got, want)
}

func (p *player) greet(arg jsontext.Value) error {
	if err := p.step("connects", nil); err != nil {
		return err
	}
	p.link.accept()
	synctest.Wait()
	hello := p.link.next()
	if hello == nil || !bytes.HasPrefix(hello.data, []byte(`{"hello":{`)) {
		return fmt.Errorf("no hello, but %v", hello)
	}
	open := map[string]any{"id": "c1", "max": 65536, "calls": 32, "ping": 25000, "keep": 0, "keys": 0, "has": []int{}}
	if err := json.Unmarshal(arg, &open); err != nil {
		return err
	}
	frame, _ := json.Marshal(map[string]any{"open": open})
	p.link.text(string(frame))
	p.link.text(`{"push":""}`)
	synctest.Wait()
	if got, ok := p.takeTold(-1); !ok || got != `{"opened":null}` {
		return fmt.Errorf("not told that it is open, but %v", got)
	}
	return nil
}

// repeat takes steps for each number from one to another. The string "$" stands
// for the number, and $ inside of a string for its digits.
func (p *player) repeat(arg jsontext.Value) error {
	var r struct {
		From  int                         `json:"from"`
		To    int                         `json:"to"`
		Steps []map[string]jsontext.Value `json:"steps"`
	}
	var one map[string]jsontext.Value
	if err := errors.Join(json.Unmarshal(arg, &r), json.Unmarshal(arg, &one)); err != nil {
		return err
	}
	if r.Steps == nil {
		for _, name := range []string{"from", "to"} {
			delete(one, name)
		}
		r.Steps = append(r.Steps, one)
	}
	for n := r.From; n <= r.To; n++ {
		for _, step := range r.Steps {
			digits := strconv.Itoa(n)
			for name, arg := range step {
				text := strings.ReplaceAll(string(arg), `"$"`, digits)
				if err := p.step(name, jsontext.Value(strings.ReplaceAll(text, "$", digits))); err != nil {
					return fmt.Errorf("%d, %s: %w", n, name, err)
				}
				synctest.Wait()
			}
		}
	}
	return nil
}

func (p *player) start(kind string, arg jsontext.Value) error {
	var c struct {
		As      string         `json:"as"`
		Do      string         `json:"do"`
		In      jsontext.Value `json:"in"`
		By      string         `json:"by"`
		Key     string         `json:"key"`
		Timeout *float64       `json:"timeout"`
	}
	if err := json.Unmarshal(arg, &c, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if c.Timeout != nil {
		limit := ms(*c.Timeout)
		if limit == 0 {
			limit = 1000 * time.Hour // a context's way to say never
		}
		end := cancel
		ctx, cancel = context.WithTimeout(ctx, limit)
		cancel = func(inner context.CancelFunc) context.CancelFunc { return func() { end(); inner() } }(cancel)
	}
	var in any
	if c.In != nil {
		in = c.In
	}
	var options []CallOption
	if c.Key != "" {
		options = append(options, Key(c.Key))
	}
	x := &played{cancel: cancel, release: make(chan bool)}
	p.calls[c.As] = x
	end := func(out jsontext.Value, err error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ended, x.out, x.err = true, out, err
	}
	if kind == "call" {
		go func() { end(Call[jsontext.Value](ctx, p.conn, c.By, c.Do, in, options...)) }()
		return nil
	}
	go func() {
		for v, err := range Stream[jsontext.Value](ctx, p.conn, c.By, c.Do, in) {
			if err != nil {
				end(nil, err)
				return
			}
			x.mu.Lock()
			x.items = append(x.items, v)
			x.mu.Unlock()
			select {
			case goOn := <-x.release: // what follows may be "leave"
				if !goOn {
					end(nil, nil)
					return
				}
			case <-ctx.Done():
			case <-p.conn.Done():
			}
		}
		end(nil, nil)
	}()
	return nil
}

// advance lets a stream's loop take the next item, if it has one to give.
func (x *played) advance() {
	select {
	case x.release <- true:
	default:
	}
	synctest.Wait()
}

func (p *player) item(arg jsontext.Value) error {
	var want struct {
		Of    string         `json:"of"`
		Value jsontext.Value `json:"value"`
	}
	if err := json.Unmarshal(arg, &want, raw); err != nil {
		return err
	}
	x := p.of(want.Of)
	got, ok := x.item()
	if !ok {
		x.advance()
		got, ok = x.item()
	}
	if !ok {
		return errors.New("no item came")
	}
	return same(got, want.Value)
}

func (p *player) result(arg jsontext.Value) error {
	var want struct {
		Of             string         `json:"of"`
		Out            jsontext.Value `json:"out"`
		Code           Code           `json:"code"`
		UnknownOutcome bool           `json:"unknownOutcome"`
		RetryAfter     float64        `json:"retryAfter"`
	}
	if err := json.Unmarshal(arg, &want, raw); err != nil {
		return err
	}
	x := p.of(want.Of)
	if !x.hasEnded() {
		x.advance()
	}
	if !x.hasEnded() {
		return errors.New("it has not ended")
	}
	delete(p.calls, want.Of)
	x.cancel()
	if want.Code == "" {
		switch {
		case x.err != nil:
			return x.err
		case want.Out == nil && x.out == nil:
			return nil
		}
		return same(x.out, want.Out)
	}
	var e *Error
	if !errors.As(x.err, &e) {
		return fmt.Errorf("ended with %s, %v", x.out, x.err)
	}
	if e.Code != want.Code || e.OutcomeUnknown != want.UnknownOutcome || e.RetryAfter != ms(want.RetryAfter) {
		return fmt.Errorf("ended with %v, after %v", e, e.RetryAfter)
	}
	return nil
}

func (p *player) wasTold(want jsontext.Value) error {
	got, ok := p.takeTold(0)
	if !ok {
		return errors.New("told nothing")
	}
	if strings.HasPrefix(got, `{"binary"`) {
		want = jsontext.Value(strings.ReplaceAll(string(want), " ", ""))
	}
	if strings.HasPrefix(got, `{"presence"`) {
		return samePresence([]byte(got), want)
	}
	return same([]byte(got), want)
}

func (p *player) ask(kind string, arg jsontext.Value) error {
	var s struct {
		As    string         `json:"as"`
		Call  string         `json:"call"`
		In    jsontext.Value `json:"in"`
		Of    string         `json:"of"`
		Out   jsontext.Value `json:"out"`
		Code  Code           `json:"code"`
		Fails bool           `json:"fails"`
		Wait  bool           `json:"wait"`
	}
	if err := json.Unmarshal(arg, &s, raw); err != nil {
		return err
	}
	if kind == "asked" {
		p.mu.Lock()
		arrived := p.asks
		if len(arrived) > 0 {
			p.asks = arrived[1:]
		}
		p.mu.Unlock()
		if len(arrived) == 0 {
			return errors.New("no call of the server arrived")
		}
		a := arrived[0]
		p.asked[s.As] = a
		if a.name != s.Call || (a.in == nil) != (s.In == nil) {
			return fmt.Errorf("%s %s arrived", a.name, a.in)
		}
		if a.in == nil {
			return nil
		}
		return same(a.in, s.In)
	}
	a := p.asked[s.Of]
	if s.Wait {
		Wait(a.ctx)
		return nil
	}
	answer := func() (jsontext.Value, error) {
		switch {
		case s.Fails:
			return nil, errors.New("hidden")
		case s.Code != "":
			return nil, &Error{Code: s.Code, Message: "message"}
		}
		return s.Out, nil
	}
	select {
	case a.answer <- answer:
	default: // the handler is gone
	}
	return nil
}

func (p *player) state(arg jsontext.Value) error {
	var want struct {
		Name Phase      `json:"name"`
		Code *CloseCode `json:"code"`
		In   *float64   `json:"in"`
	}
	if err := json.Unmarshal(arg, &want, raw); err != nil {
		return err
	}
	got := p.conn.State()
	if got.Phase != want.Name || want.Code != nil && got.Code != *want.Code {
		return fmt.Errorf("%+v", got)
	}
	if want.In != nil && time.Until(got.Next) != ms(*want.In) {
		return fmt.Errorf("the next try is in %v", time.Until(got.Next))
	}
	return nil
}
