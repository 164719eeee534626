package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// visit is what a visitor has.
type visit struct {
	t *traffic
	r *rand.Rand
}

// visits are the kinds of visitors. Each returns an error if the server has not
// done what it has to.
var visits = []struct {
	name string
	run  func(*visit) error
}{
	{"calls", (*visit).calls},
	{"calls of kanava.v1", (*visit).callsV1},
	{"compressed calls", (*visit).compressedCalls},
	{"streams", (*visit).streams},
	{"events", (*visit).events},
	{"sessions", (*visit).sessions},
	{"bad functions", (*visit).badFunctions},
	{"bad openings", (*visit).badOpenings},
	{"bad messages", (*visit).badMessages},
	{"broken frames", (*visit).brokenFrames},
	{"too large", (*visit).tooLarge},
	{"bombs", (*visit).bombs},
	{"resets", (*visit).resets},
	{"stuck readers", (*visit).stuck},
	{"silent clients", (*visit).silent},
	{"floods", (*visit).floods},
	{"half handshakes", (*visit).halfHandshakes},
	{"never sign in", (*visit).neverSignsIn},
}

func (v *visit) dial(q request) (*client, error) { return dial(v.t.addr, v.r, q) }

// calls sends calls ahead and wants the replies in order.
func (v *visit) calls() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	n := 1 + v.r.IntN(30)
	var all []byte
	for i := range n {
		p := fmt.Appendf(nil, `{"action":"echo","n":%d,"pad":"%s"}`, i, strings.Repeat("p", v.r.IntN(3000)))
		if half := v.r.IntN(len(p)); v.r.IntN(4) == 0 { // in two parts
			all = append(all, c.frame(false, ws.OpText, p[:half])...)
			all = append(all, c.frame(true, ws.OpContinuation, p[half:])...)
		} else {
			all = append(all, c.frame(true, ws.OpText, p)...)
		}
	}
	if err := c.raw(all); err != nil {
		return err
	}
	for i := range n {
		p, err := c.next()
		if want := fmt.Sprintf(`{"n":%d,`, i); err != nil || !bytes.HasPrefix(p, []byte(want)) {
			return fmt.Errorf("reply %d: %.100q, %w", i, p, err)
		}
	}
	return c.leave()
}

// callsV1 does the same in the other form, with ids, and cancels some.
func (v *visit) callsV1() error {
	c, err := v.dial(request{path: "/soak", protocol: "kanava.v1"})
	if err != nil {
		return err
	}
	defer c.drop()
	if err := c.text(`{"hello":{"token":"%s"}}`, pick(v.r, "", "ann", "bob")); err != nil {
		return err
	}
	if err := c.skipTo(`"open"`); err != nil {
		return err
	}
	n := 1 + v.r.IntN(20)
	for id := 1; id <= n; id++ {
		err := c.text(`{"id":%d,"do":"echo","in":{"n":%d}}`, id, id)
		if id%5 == 0 && err == nil {
			err = c.text(`{"cancel":%d}`, id)
		}
		if err != nil {
			return err
		}
	}
	for id := 1; id <= n; id++ { // each has one last frame
		if err := c.skipTo(fmt.Sprintf(`{"re":%d,`, id)); err != nil {
			return err
		}
	}
	return c.leave()
}

func (v *visit) streams() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	n := 1 + v.r.IntN(200)
	if err := c.text(`{"action":"stream","n":%d,"pad":"%s"}`, n, strings.Repeat("p", v.r.IntN(5000))); err != nil {
		return err
	}
	for i := range n {
		p, err := c.next()
		if want := fmt.Sprintf(`{"n":%d`, i); err != nil || !bytes.HasPrefix(p, []byte(want)) {
			return fmt.Errorf("value %d: %.100q, %w", i, p, err)
		}
		if v.r.IntN(500) == 0 {
			return nil // leaves in the middle
		}
	}
	if err := c.skipTo(`{"action":"stream"}`); err != nil {
		return err
	}
	return c.leave()
}

func (v *visit) events() error {
	c, err := v.dial(request{path: "/soak", token: pick(v.r, "", "ann", "bob", "eve")})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	room := v.r.IntN(8)
	if err := c.text(`{"action":"join","n":%d}`, room); err != nil {
		return err
	}
	if err := c.skipTo(`{"action":"join"}`); err != nil {
		return err
	}
	for range 1 + v.r.IntN(10) {
		tag := v.r.IntN(1<<30)&^7 | room
		if err := c.text(`{"action":"publish","n":%d}`, tag); err != nil {
			return err
		}
		if err := c.skipTo(fmt.Sprintf(`"data":{"n":%d}`, tag)); err != nil {
			return err
		}
	}
	if v.r.IntN(2) == 0 {
		if err := c.text(`{"action":"leave","n":%d}`, room); err != nil {
			return err
		}
	}
	return c.leave()
}

// busy forgives being refused for too many connections of one user.
func (*visit) busy(err error) error {
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == 429 {
		return nil
	}
	return err
}

func (v *visit) sessions() error {
	c, err := v.dial(request{path: pick(v.r, "/soak", "/tight")})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	for range 1 + v.r.IntN(3) {
		name := fmt.Sprintf("user%d", v.r.IntN(1000))
		if err := c.text(`{"action":"login","id":"%s"}`, name); err != nil {
			return err
		}
		if err := c.skipTo(`{"action":"login"}`); err != nil {
			return err
		}
		if err := c.text(`{"action":"members"}`); err != nil {
			return err
		}
		if err := c.skipTo(`"` + name + `"`); err != nil {
			return err
		}
		if err := c.text(`{"action":"login","id":"other"}`); err != nil { // another user
			return err
		}
		if err := c.skipTo(`permission_denied`); err != nil {
			return err
		}
		if err := c.text(`{"action":"logout"}`); err != nil {
			return err
		}
		if err := c.skipTo(`{"action":"logout"}`); err != nil {
			return err
		}
	}
	if v.r.IntN(2) == 0 {
		return c.leave()
	}
	if err := c.text(`{"action":"login","id":"short","lasts":%d}`, 1+v.r.IntN(300)); err != nil {
		return err
	}
	if code, err := c.drain(); code != 4401 && !v.tooManyOf("short") {
		return fmt.Errorf("an expired session was closed with %d, %w", code, err)
	}
	return nil
}

// tooManyOf reports whether a user has as many connections as may be.
func (v *visit) tooManyOf(user string) bool {
	conns, err := v.t.app.srv.Conns().OfUser(context.Background(), user)
	return err == nil && len(conns) >= 18
}

func (v *visit) badFunctions() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	for range 1 + v.r.IntN(5) {
		action := pick(v.r, "panic", "goexit", "block", "beside", "rare")
		if err := c.text(`{"action":"%s"}`, action); err != nil {
			return err
		}
		if v.r.IntN(10) == 0 {
			return nil // leaves while it runs
		}
		if err := c.skipTo(`"action":"` + action + `"`); err != nil {
			return err
		}
	}
	if v.r.IntN(2) == 0 {
		if err := c.text(`{"action":"quit"}`); err != nil {
			return err
		}
		if code, err := c.drain(); code != 1000 {
			return fmt.Errorf("quit was closed with %d, %w", code, err)
		}
		return nil
	}
	return c.leave()
}

func (v *visit) badOpenings() error {
	kinds := []struct {
		q      request
		status int           // 0: it opens
		code   ws.StatusCode // of the close, if it opens; 0: it stays open
	}{
		{request{path: "/nothing"}, 404, 0},
		{request{path: "/soak?start=unknown"}, 400, 0},
		{request{path: "/soak", token: "wrong"}, 401, 0},
		{request{path: "/soak", token: "panic"}, 500, 0},
		{request{path: "/soak", token: "slow"}, 504, 0},
		{request{path: "/soak", protocol: "kanava.v9"}, 0, 4426},
		{request{path: "/soak?start=badly"}, 0, 4403},
		{request{path: "/soak?start=panic"}, 0, 4500},
		{request{path: "/soak?start=goexit"}, 0, 4500},
		{request{path: "/soak?start=slowly"}, 0, 0},
	}
	k := kinds[v.r.IntN(len(kinds))]
	c, err := v.dial(k.q)
	if err != nil {
		var refused *refusedError
		if errors.As(err, &refused) && refused.status == k.status {
			return nil
		}
		return fmt.Errorf("%s %s: %w", k.q.path, k.q.token, err)
	}
	defer c.drop()
	if k.status != 0 {
		return fmt.Errorf("%s %s was not refused", k.q.path, k.q.token)
	}
	if k.code == 0 {
		return c.leave()
	}
	if code, err := c.drain(); code != k.code {
		return fmt.Errorf("%s %s was closed with %d, %w", k.q.path, k.q.protocol, code, err)
	}
	return nil
}

// badMessages are well-framed nonsense; each is answered, and a good call after
// them too.
func (v *visit) badMessages() error {
	c, err := v.dial(request{path: "/soak", protocol: pick(v.r, "", "", "kanava.plain")})
	if err != nil {
		return err
	}
	defer c.drop()
	good := `{"action":"echo","n":1,"pad":"abc"}`
	for range 1 + v.r.IntN(20) {
		p := []byte(pick(v.r, good, `{`, `null`, `[]`, `{"action":"nope"}`, `{"action":"echo","n":"x"}`, `{"action":"echo","action":"echo"}`,
			strings.Repeat("[", 200), `"\ud800"`, `{"action":"echo","n":1e999}`, `{"action":"echo","n":1,"more":[[[{}]]]}`, ``))
		if len(p) > 0 && v.r.IntN(3) == 0 {
			p[v.r.IntN(len(p))] = byte(' ' + v.r.IntN(95))
		}
		if err := c.raw(c.frame(true, ws.OpText, p)); err != nil {
			return err
		}
	}
	if err := c.raw(c.frame(true, ws.OpBinary, []byte{0, 0xff, byte(v.r.Int())})); err != nil {
		return err
	}
	if err := c.text(`{"action":"echo","n":424242}`); err != nil {
		return err
	}
	if err := c.skipTo(`"n":424242`); err != nil {
		return err
	}
	return c.leave()
}

func (v *visit) brokenFrames() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	noise := make([]byte, 1+v.r.IntN(200))
	for i := range noise {
		noise[i] = byte(v.r.Int())
	}
	noise[0] |= 0x70 // reserved bits: refused
	want := ws.StatusCode(1002)
	p := pick(v.r, noise,
		ws.MustCompileFrame(ws.NewTextFrame([]byte("not masked"))),
		c.frame(true, ws.OpContinuation, []byte("of nothing")),
		c.frame(false, ws.OpPing, []byte("in parts")),
		c.frame(true, ws.OpCode(3), nil))
	if v.r.IntN(6) == 0 {
		p, want = c.frame(true, ws.OpText, []byte("\xff\xfe")), 1007
	}
	if err := c.raw(p); err != nil {
		return err
	}
	if code, err := c.drain(); code != want {
		return fmt.Errorf("% .20x was closed with %d, %w", p, code, err)
	}
	return nil
}

func (v *visit) tooLarge() error {
	path, size := "/soak", 64<<10
	if v.r.IntN(2) == 0 {
		path, size = "/tight", 1<<10
	}
	c, err := v.dial(request{path: path})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	go func() { // the server may close before it has read all
		_ = c.raw(c.frame(true, pick(v.r, ws.OpText, ws.OpBinary), bytes.Repeat([]byte{'x'}, size+1+v.r.IntN(size))))
	}()
	if code, err := c.drain(); code != 1009 {
		return fmt.Errorf("%d bytes at %s were closed with %d, %w", size, path, code, err)
	}
	return nil
}

// resets leave at a moment that nobody has chosen.
func (v *visit) resets() error {
	c, err := v.dial(request{path: "/soak?start=" + pick(v.r, "well", "slowly")})
	if err != nil {
		return err
	}
	var all []byte
	for range v.r.IntN(10) {
		all = append(all, c.frame(true, ws.OpText, []byte(pick(v.r,
			`{"action":"large","n":1}`, `{"action":"stream","n":100}`, `{"action":"join","n":1}`, `{"action":"publish","n":1}`, `{"action":"block"}`)))...)
	}
	all = append(all, c.frame(true, ws.OpText, bytes.Repeat([]byte{' '}, 1000))...)
	all = all[:v.r.IntN(len(all))]
	_ = c.raw(all)
	time.Sleep(time.Duration(v.r.IntN(20)) * time.Millisecond)
	if v.r.IntN(2) == 0 {
		c.reset()
	} else {
		c.drop()
	}
	return nil
}

// stuck never reads: the server has to give up, and costs nobody else.
func (v *visit) stuck() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	if t, ok := c.nc.(interface{ SetReadBuffer(bytes int) error }); ok {
		_ = t.SetReadBuffer(4 << 10)
	}
	if err := c.text(`{"action":"stream","n":100000,"pad":"%s"}`, strings.Repeat("p", 10_000)); err != nil {
		return err
	}
	// The server cuts the connection: what it has written is lost or not, but
	// then sending fails.
	start := time.Now()
	for time.Since(start) < patience {
		if c.raw(c.frame(true, ws.OpPong, nil)) != nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("a client that does not read was not closed")
}

// silent clients answer no ping.
func (v *visit) silent() error {
	c, err := v.dial(request{path: "/soak"})
	if err != nil {
		return err
	}
	defer c.drop()
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	for {
		h, err := ws.ReadHeader(c.br)
		if err != nil {
			return fmt.Errorf("a silent client: %w", err)
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(c.br, p); err != nil {
			return err
		}
		if h.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(p); code != 4408 {
				return fmt.Errorf("a silent client was closed with %d", code)
			}
			return nil
		}
	}
}

// floods go on over the rate until they are closed.
func (v *visit) floods() error {
	c, err := v.dial(request{path: "/tight", token: fmt.Sprintf("flood%d", v.r.IntN(1000))})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	one := pick(v.r, c.frame(true, ws.OpPing, nil), c.frame(true, ws.OpText, nil), c.frame(true, ws.OpText, []byte(`{"action":"echo","n":1}`)),
		c.frame(true, ws.OpText, []byte(`{"action":"nope"}`)), c.frame(true, ws.OpText, []byte(`{`)))
	go func() {
		for range 300 {
			if c.raw(one) != nil {
				return
			}
		}
	}()
	if code, err := c.drain(); code != 4429 {
		return fmt.Errorf("a flood of % x was closed with %d, %w", one, code, err)
	}
	return nil
}

func (v *visit) halfHandshakes() error {
	c, err := dialTCP(v.t.addr, v.r)
	if err != nil {
		return err
	}
	defer c.drop()
	q := request{path: "/soak"}.String()
	switch v.r.IntN(4) {
	case 0: // a part of the request: the http.Server ends it
		q = q[:1+v.r.IntN(len(q)-2)]
	case 1: // slowly, byte by byte
		q = q[:len(q)-2]
		for i := 0; i < len(q); i += 10 {
			if c.raw([]byte(q[i:min(i+10, len(q))])) != nil {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		q = ""
	case 2: // with a body that does not come
		q = strings.Replace(q, "\r\n\r\n", "\r\nContent-Length: 50000\r\n\r\n", 1)
	case 3: // gone before the answer is read
		_ = c.raw([]byte(q))
		c.reset()
		return nil
	}
	if err := c.raw([]byte(q)); err != nil {
		return nil // the server has ended it, as it should
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c.nc); err != nil && !strings.Contains(err.Error(), "reset") {
		return fmt.Errorf("a half handshake was not ended: %w", err)
	}
	return nil
}

func (v *visit) neverSignsIn() error {
	c, err := v.dial(request{path: "/tight"})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	if code, err := c.drain(); code != 4401 {
		return fmt.Errorf("who never signs in was closed with %d, %w", code, err)
	}
	return nil
}
