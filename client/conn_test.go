package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// start returns a connection to a scripted server, in a bubble.
func start(t *testing.T, change func(*settings)) (*Conn, *scripted) {
	server := &scripted{}
	s := settings{timeout: 10 * time.Second, queue: 64, webSocket: server.dial, random: func() float64 { return 1 }}
	if change != nil {
		change(&s)
	}
	c := newConn(Spec{}, s)
	t.Cleanup(func() {
		c.Close()
		<-c.Done()
		if len(c.timers) > 0 || c.held != 0 {
			t.Errorf("after Close: timers %v, %d bytes held", c.timers, c.held)
		}
	})
	c.start()
	synctest.Wait()
	return c, server
}

const openFrame = `{"open":{"id":"c1","max":65536,"calls":32,"ping":25000}}`

// greet makes the next connection an open one.
func greet(t *testing.T, server *scripted) *scriptedLink {
	t.Helper()
	l := server.next()
	if l == nil {
		t.Fatal("the client has not connected")
	}
	l.accept()
	synctest.Wait()
	l.next() // hello
	l.text(openFrame)
	l.text(`{"push":""}`)
	synctest.Wait()
	return l
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// The waits are drawn evenly from the whole range, which doubles from 0.5 s to
// 20 s.
func TestBackOffDistribution(t *testing.T) {
	const runs = 400
	limits := []float64{500, 1000, 2000, 4000, 8000, 16000, 20000, 20000}
	var sums, least, most [8]time.Duration
	bubble(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range runs {
			c, server := start(t, func(s *settings) { s.random = r.Float64 })
			for i := range limits {
				server.take().drop(CloseLost)
				synctest.Wait()
				s := c.State()
				wait := time.Until(s.Next)
				if s.Phase != Waiting || wait < 0 || wait > ms(limits[i]) {
					t.Fatalf("try %d: %+v, in %v", i, s, wait)
				}
				sums[i] += wait
				most[i] = max(most[i], wait)
				if least[i] == 0 || wait < least[i] {
					least[i] = wait
				}
				time.Sleep(wait)
				synctest.Wait()
			}
			c.Close()
		}
	})
	for i := range limits {
		limit := ms(limits[i])
		if mean := sums[i] / runs; mean < limit*42/100 || mean > limit*58/100 || least[i] > limit/20 || most[i] < limit*19/20 {
			t.Errorf("try %d: from %v to %v, %v on average, of %v", i, least[i], most[i], mean, limit)
		}
	}
}

// Whatever a connection is doing, Close ends it and all that it has started.
func TestCloseInEveryPhase(t *testing.T) {
	never := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for _, tt := range []struct {
		name   string
		change func(*settings)
		reach  func(t *testing.T, c *Conn, s *scripted)
	}{
		{"connecting", nil, func(*testing.T, *Conn, *scripted) {}},
		{"waiting for a token", func(s *settings) {
			s.token = func(ctx context.Context) (string, error) { return "", never(ctx) }
		}, func(*testing.T, *Conn, *scripted) {}},
		{"greeting", nil, func(_ *testing.T, _ *Conn, s *scripted) { s.take().accept() }},
		{"authenticating", func(s *settings) { s.authenticate = never }, func(t *testing.T, _ *Conn, s *scripted) { greet(t, s) }},
		{"open", nil, func(t *testing.T, _ *Conn, s *scripted) { greet(t, s) }},
		{"leaving", nil, func(t *testing.T, _ *Conn, s *scripted) { greet(t, s).text(`{"away":{"code":4503,"in":[5,9]}}`) }},
		{"waiting", nil, func(_ *testing.T, _ *Conn, s *scripted) { s.take().drop(CloseLost) }},
		{"answering", nil, func(t *testing.T, c *Conn, s *scripted) {
			Handle(c, "x", func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, never(ctx) })
			greet(t, s).text(`{"call":"x","id":1,"in":{},"ms":30000}`)
		}},
		{"recovering", nil, func(t *testing.T, _ *Conn, s *scripted) {
			l := greet(t, s)
			l.text(`{"sub":"a:b","class":"recoverable","e":"x","o":1}`)
			l.text(`{"on":"a:b","e":"x","o":9,"data":1}`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, server := start(t, tt.change)
				tt.reach(t, c, server)
				synctest.Wait()
				begun := time.Now()
				c.Close()
				c.Close()
				<-c.Done()
				if took := time.Since(begun); took > 0 {
					t.Errorf("Close took %v", took)
				}
				if s := c.State(); s.Phase != Closed || s.Code != CloseNormal {
					t.Errorf("%+v", s)
				}
				if err := Do(t.Context(), c, "", "x", nil); code(err) != CodeUnavailable {
					t.Errorf("a call: %v", err)
				}
				if _, err := Opened[struct{}](t.Context(), c); tt.name == "connecting" && code(err) != CodeUnavailable {
					t.Errorf("Opened: %v", err)
				}
				if n := server.open(); n > 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}

func code(err error) Code {
	e, _ := errors.AsType[*Error](err)
	if e == nil {
		return ""
	}
	return e.Code
}

// A peer that does not read keeps Close for a second, and nothing for ever.
func TestClosePeerThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		l.stall = make(chan struct{})
		if err := c.SendBinary(t.Context(), []byte{1}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		c.Close()
		if took := time.Since(begun); took != closeTime {
			t.Errorf("Close took %v", took)
		}
		<-c.Done()
	})
}

// A silent server whose socket takes nothing does not keep the client either.
func TestSilenceWhileWriting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		l.stall = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var err error
		for n := 0; n < 100 && err == nil; n++ { // until the bytes are full
			err = c.SendBinary(ctx, make([]byte, 32<<10))
		}
		if code(err) != CodeUnavailable {
			t.Errorf("SendBinary: %v", err)
		}
		if s := c.State(); s.Code != CloseNoPong {
			t.Errorf("%+v", s)
		}
	})
}

// The bytes that wait to be sent are bounded, and SendBinary waits for room.
func TestSendBinaryWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		l.stall = make(chan struct{})
		sent := make(chan error, 40)
		for range cap(sent) {
			go func() { sent <- c.SendBinary(context.Background(), make([]byte, 32<<10)) }()
		}
		synctest.Wait()
		if n := len(sent); n != maxUnwritten/(32<<10) {
			t.Errorf("%d were taken", n)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.SendBinary(canceled, []byte{1}); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		close(l.stall)
		for range cap(sent) {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// A machine that has slept reads what came meanwhile before it gives up.
func TestAfterSleep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		greet(t, server)
		c.mu.Lock()
		c.run.heard.due = time.Now().Add(-time.Hour)
		c.run.watch()
		c.mu.Unlock()
		time.Sleep(wakeTime - 1)
		if s := c.State(); s.Phase != Open {
			t.Fatalf("%+v", s)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := c.State(); s.Phase != Waiting || s.Code != CloseNoPong {
			t.Errorf("%+v", s)
		}
	})
}

// While handlers are slow the client stops reading, says that it lives, and
// gives up in the end.
func TestSlowHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		release := make(chan struct{})
		told := 0
		OnPush(c, "x", func(string) {
			<-release
			told++
		})
		l := greet(t, server)
		push := `{"push":"x","v":"` + strings.Repeat("x", 64<<10) + `"}`
		for range 40 {
			l.text(push)
		}
		synctest.Wait()
		if left := len(l.in); left < 20 {
			t.Errorf("%d of 40 messages are not read", left)
		}
		time.Sleep(slowTime - 1)
		if s := c.State(); s.Phase != Open {
			t.Fatalf("%+v", s)
		}
		alive := 0
		for m := l.next(); m != nil; m = l.next() {
			if string(m.data) == "{}" {
				alive++
			}
		}
		if alive < 2 {
			t.Errorf("%d signs of life in %v", alive, slowTime)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := c.State(); s.Code != CloseSlowConsumer {
			t.Errorf("%+v", s)
		}
		close(release)
		synctest.Wait()
		if told < 16 {
			t.Errorf("told of %d", told)
		}
	})
}

// A handler that is slow for a while delays, and nothing is lost.
func TestSlowHandlerThatGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		told := 0
		OnPush(c, "x", func(string) {
			time.Sleep(100 * time.Millisecond)
			told++
		})
		l := greet(t, server)
		for range 100 {
			l.text(`{"push":"x","v":"` + strings.Repeat("x", 64<<10) + `"}`)
		}
		time.Sleep(time.Minute)
		if s := c.State(); s.Phase != Waiting && told != 100 || told != 100 {
			t.Errorf("%+v, told of %d", s, told)
		}
	})
}

// A handler makes a call while the client does not read because of it.
func TestHandlerThatCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		results := make(chan error, 100)
		first := true
		OnPush(c, "x", func(string) {
			if first {
				first = false
				time.Sleep(time.Second) // until there is too much
				results <- Do(context.Background(), c, "", "y", nil)
			}
		})
		l := greet(t, server)
		for range 30 {
			l.text(`{"push":"x","v":"` + strings.Repeat("x", 64<<10) + `"}`)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if m := l.next(); m == nil || !strings.Contains(string(m.data), `"do":"y"`) && string(m.data) != "{}" {
			t.Fatalf("sent %v", m)
		}
		l.text(`{"re":1}`)
		if err := <-results; err != nil {
			t.Error(err)
		}
	})
}

// Also the reading for the sake of answers has an end.
func TestSlowHandlerHardLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		release := make(chan struct{})
		defer close(release)
		OnPush(c, "x", func(string) { <-release })
		l := greet(t, server)
		go func() { _ = Do(context.Background(), c, "", "y", nil) }()
		synctest.Wait()
		for range 100 {
			l.text(`{"push":"x","v":"` + strings.Repeat("x", 64<<10) + `"}`)
		}
		synctest.Wait()
		if s := c.State(); s.Code != CloseSlowConsumer || c.events.size > maxUntold+(128<<10) {
			t.Errorf("%+v, %d bytes wait", s, c.events.size)
		}
	})
}

// A loop that is slower than its stream ends with an error, after what came
// before, and the call is canceled.
func TestStreamOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		l := greet(t, server)
		goOn := make(chan struct{})
		type end struct {
			items int
			err   error
		}
		ended := make(chan end)
		go func() {
			var e end
			for _, err := range Stream[int](context.Background(), c, "", "s", nil) {
				if err != nil {
					e.err = err
					break
				}
				e.items++
				<-goOn
			}
			ended <- e
		}()
		synctest.Wait()
		l.next()
		for range maxItems + 1 { // one is with the loop
			l.text(`{"re":1,"item":1}`)
			synctest.Wait()
		}
		if m := l.next(); m != nil {
			t.Fatalf("sent %s", m.data)
		}
		l.text(`{"re":1,"item":1}`)
		synctest.Wait()
		if m := l.next(); m == nil || string(m.data) != `{"cancel":1}` {
			t.Fatalf("sent %v", m)
		}
		close(goOn)
		if e := <-ended; e.items != maxItems+1 || code(e.err) != CodeResourceExhausted {
			t.Errorf("%+v", e)
		}
	})
}

// Opened says why there is no connection.
func TestOpenedFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		server.next().answer <- &ending{code: CloseLost, reason: "no connection", cause: errors.New("refused by the test")}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // during the next try
		defer cancel()
		_, err := Opened[struct{}](ctx, c)
		if !errors.Is(err, context.DeadlineExceeded) || code(err) != CodeDeadlineExceeded || !strings.Contains(err.Error(), "refused by the test") {
			t.Error(err)
		}
	})
}

// A refused handshake's Retry-After is honoured.
func TestRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		server.next().answer <- &ending{code: CloseLost, reason: "busy", after: 7000}
		synctest.Wait()
		if s := c.State(); time.Until(s.Next) != 7*time.Second+backOff {
			t.Errorf("in %v", time.Until(s.Next))
		}
	})
}

// Listeners are told in the order of events, by key, until they are stopped;
// what cannot be read is an error and nothing else.
func TestListeners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		var got []string
		add := func(who string) func(int, Topic) {
			return func(v int, at Topic) { got = append(got, fmt.Sprint(who, v, at.Key)) }
		}
		one := OnTopic(c, "a", "x", add("one"))
		OnTopics(c, "a", add("all"))
		OnTopic(c, "a", "y", func(b []byte, _ Topic) { got = append(got, string(b)) })
		c.OnError(func(err error) { got = append(got, string(code(err))) })
		l := greet(t, server)
		for _, frame := range []string{
			`{"on":"a:x","data":1}`, `{"on":"a:z","data":2}`, `{"on":"b:x","data":3}`, `{"on":"a:x","data":"no number"}`,
		} {
			l.text(frame)
		}
		synctest.Wait()
		one.Stop()
		one.Stop()
		l.text(`{"on":"a:x","data":4}`)
		l.text(`{"on":"a:y","b64":"aGk="}`) // bytes: an error for who wants numbers
		synctest.Wait()
		want := "one1x all1x all2z invalid_frame invalid_frame all4x hi invalid_frame"
		if text := strings.Join(got, " "); text != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	})
}

// After Close handlers are told of nothing but the state.
func TestSilentAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		var got []string
		hold := make(chan struct{})
		OnPush(c, "x", func(n int) {
			<-hold
			got = append(got, fmt.Sprint(n))
		})
		c.OnState(func(s State) { got = append(got, string(s.Phase)) })
		l := greet(t, server)
		l.text(`{"push":"x","v":1}`)
		l.text(`{"push":"x","v":2}`)
		synctest.Wait()
		c.Close()
		close(hold)
		<-c.Done()
		if text := strings.Join(got, " "); text != "greeting open 1 closed" {
			t.Error(text)
		}
	})
}

// Handlers of the server's calls are bounded, also over lost connections.
func TestAskingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := start(t, nil)
		release := make(chan struct{})
		defer close(release)
		running := 0
		Handle(c, "x", func(context.Context, jsontext.Value) (struct{}, error) {
			c.mu.Lock()
			running++
			c.mu.Unlock()
			<-release // whatever its context says
			return struct{}{}, nil
		})
		for range 2 {
			l := greet(t, server)
			for id := range 50 {
				l.text(fmt.Sprintf(`{"call":"x","id":%d,"ms":1000}`, id+1))
			}
			synctest.Wait()
			l.drop(CloseLost)
			time.Sleep(backOff)
			synctest.Wait()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if running != maxAsking {
			t.Errorf("%d handlers run", running)
		}
	})
}

// A connection is not opened when the client is closed while it dials.
func TestLateDial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		late := &scriptedLink{aborted: make(chan struct{}), ended: make(chan struct{})}
		c, _ := start(t, func(s *settings) {
			s.webSocket = func(ctx context.Context, _ []byte) (link, error) {
				<-ctx.Done()
				return late, nil // all the same
			}
		})
		c.Close()
		<-c.Done()
		if !late.isClosed() {
			t.Error("the connection stays open")
		}
	})
}

// A server that makes the client say more and more, and reads none of it, gets
// no memory for that.
func TestDeafServer(t *testing.T) {
	for _, frame := range []string{`{}`, `{"call":"nothing","id":%d,"in":1}`} {
		bubble(t, func(t *testing.T) {
			c, server := start(t, nil)
			l := greet(t, server)
			stall := make(chan struct{})
			defer close(stall)
			l.stall = stall
			n := 0
			for c.State().Phase == Open && n < 200_000 {
				for range 900 {
					n++
					l.text(strings.ReplaceAll(frame, "%d", fmt.Sprint(n)))
				}
				synctest.Wait()
				c.mu.Lock()
				kept := c.run.outBytes
				c.mu.Unlock()
				if kept > deafSize+100_000 {
					t.Fatalf("%d bytes", kept)
				}
			}
			if s := c.State(); s.Phase != Waiting || !strings.Contains(s.Reason, "does not read") || n < 10_000 {
				t.Errorf("after %d frames: %+v", n, s)
			}
		})
	}
}
