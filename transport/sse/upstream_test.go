package sse_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

func TestP21_InOrderAndOnce(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c := w.plain()
	c.post(204, `"one"`)
	c.post(204, "\"two\"\n\"three\"\n")
	for _, text := range []string{`"one"`, `"two"`, `"three"`} {
		c.want(event{data: text})
	}
	for _, tt := range []struct {
		proves string
		number int
		status int
		body   string
	}{
		{"the last one again", 2, 204, ""},
		{"an older one again", 1, 204, ""},
		{"one is missing", 4, 409, `{"expected":3}`},
		{"far ahead", 1<<53 - 1, 409, `{"expected":3}`},
		{"the next one", 3, 204, ""},
	} {
		res := w.wantStatus(c.postAs(tt.number, "application/json", `"`+tt.proves+`"`), tt.status)
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != tt.body {
			t.Errorf("%s: %s, %v", tt.proves, body, err)
		}
	}
	c.want(event{data: `"the next one"`}) // and none of the others
	c.leave()
	w.wantLeft(ending{1006, ""})
}

func TestP21_Bodies(t *testing.T) {
	for _, tt := range []struct {
		proves      string
		contentType string
		body        string
		status      int
		want        []event
	}{
		{"lines without the last LF", "application/json", "\"a\"\n\"b\"", 204, []event{{data: `"a"`}, {data: `"b"`}}},
		{"CR LF is white space of JSON", "application/json", "\"a\"\r\n\"b\"\r\n", 204, []event{{data: `"a"`}, {data: `"b"`}}},
		{"empty lines are empty messages", "application/json", "\n\"a\"\n\n", 204, []event{{data: `"a"`}}},
		{"no message at all", "application/json", "", 204, nil},
		{"a type with parameters, in any case", "Application/JSON; charset=utf-8", `"a"`, 204, []event{{data: `"a"`}}},
		{"bytes", "application/octet-stream", "a\nb\xff", 204, []event{{name: "binary", data: "YQpi/w=="}}},
		{"no bytes are a message", "application/octet-stream", "", 204, []event{{name: "binary"}}},
		{"128 messages", "application/json", strings.Repeat("\"x\"\n", 128), 204, repeat(event{data: `"x"`}, 128)},
		{"another type", "text/plain", `"a"`, 415, nil},
		{"the type of curl", "application/x-www-form-urlencoded", `"a"`, 415, nil},
		{"no type", "", `"a"`, 415, nil},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{})
			c := w.plain()
			w.wantStatus(c.postAs(1, tt.contentType, tt.body), tt.status)
			next := 2
			if tt.status != 204 {
				next = 1 // it was not taken
			}
			w.wantStatus(c.postAs(next, "application/json", `{"action":"ping"}`), 204)
			for _, e := range append(tt.want, event{data: `{"action":"ping"}`}) {
				c.want(e)
			}
		})
	}
}

func repeat(e event, n int) []event {
	events := make([]event, n)
	for i := range events {
		events[i] = e
	}
	return events
}

// A client that breaks a limit is told so twice: by the status, and by the end
// of the connection, in both forms.
func TestP21_BrokenLimits(t *testing.T) {
	small := kanava.Limits{Message: 100}
	for _, tt := range []struct {
		proves      string
		limits      kanava.Limits
		contentType string
		body        string
		status      int
		end         kanava.CloseCode
	}{
		{"a message over the limit of the channel", small, "application/json", strings.Repeat("x", 101), 413, 1009},
		{"the same among others", small, "application/json", "\"a\"\n" + strings.Repeat("x", 101) + "\n\"b\"", 413, 1009},
		{"bytes over the limit", small, "application/octet-stream", strings.Repeat("x", 101), 413, 1009},
		{"a body of more than 64 KiB", small, "application/json", strings.Repeat(strings.Repeat("x", 99)+"\n", 660), 413, 1009},
		{"more than 128 messages", kanava.Limits{}, "application/json", strings.Repeat("1\n", 129), 413, 1009},
		{"text that is none", kanava.Limits{}, "application/json", "\"a\"\n\"\xff\"", 400, 1007},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, tt.limits)
			c := w.plain()
			w.wantStatus(c.postAs(1, tt.contentType, tt.body), tt.status)
			e := c.next()
			if want := fmt.Sprintf(`{"code":%d,"reason":"%s: `, tt.end, tt.end); e.name != "close" || !strings.HasPrefix(e.data, want) {
				t.Errorf("got %+v", e)
			}
			c.wantEnd()
			if left := <-w.left; left.code != tt.end {
				t.Errorf("OnDisconnect saw %+v", left)
			}
			w.wantError(c.postAs(2, "application/json", "1"), 404, "not_found")
			if tt.contentType == "application/octet-stream" {
				return
			}
			v1 := w.envelope()
			w.wantStatus(v1.postAs(1, tt.contentType, tt.body), tt.status)
			v1.want(event{data: fmt.Sprintf(`{"away":{"code":%d}}`, tt.end)})
			v1.wantEnd()
		})
	}
}

// The largest messages there may be fit, one or more of them.
func TestP21_LargestBodies(t *testing.T) {
	for _, limit := range []int{100, 64 << 10, 100_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{Message: limit, Queue: 4 << 20})
			c := w.plain()
			message := `"` + strings.Repeat("x", limit-2) + `"`
			c.post(204, message+"\n")
			c.want(event{data: message})
			n := 0
			var body strings.Builder
			for ; n < 128 && body.Len()+100+1 <= max(limit, 64<<10); n++ {
				fmt.Fprintf(&body, "\"%s\"\n", strings.Repeat("y", 98))
			}
			c.post(204, body.String())
			for range n {
				c.want(event{data: `"` + strings.Repeat("y", 98) + `"`})
			}
		})
	}
}

func TestP21_Numbers(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c := w.plain()
	for _, fields := range [][]string{
		{},
		{"Kanava-Seq", ""},
		{"Kanava-Seq", "0"},
		{"Kanava-Seq", "-1"},
		{"Kanava-Seq", "1.0"},
		{"Kanava-Seq", "9007199254740992"},
		{"Kanava-Seq", "18446744073709551617"},
		{"Kanava-Seq", "1", "Kanava-Seq", "1"},
	} {
		res := w.do("POST", "/line", strings.NewReader("1"), append(fields, "Kanava-Up", c.secret, "Content-Type", "application/json")...)
		w.wantError(res, 400, "invalid_argument")
	}
	c.post(204, `"first"`)
	c.want(event{data: `"first"`})
}

func TestS2_Secrets(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c, other := w.plain(), w.envelope()
	node, random, _ := strings.Cut(c.secret, ".")
	if len(node) < 1 || len(random) < 26 {
		t.Errorf("a secret like %q", c.secret)
	}
	_, foreign, _ := strings.Cut(other.secret, ".")
	for proves, secret := range map[string]string{
		"none":                    "",
		"a short one":             "x",
		"the node alone":          node + ".",
		"another node":            "zzzzzzzz." + random,
		"no node":                 random,
		"its last byte is wrong":  c.secret[:len(c.secret)-1] + "!",
		"something behind it":     c.secret + "A",
		"a blend of two":          node + "." + random[:26] + foreign[26:],
		"in another case":         strings.ToLower(c.secret),
		"a very long one":         node + "." + strings.Repeat("A", 100_000),
		"the id of nobody's":      node + "." + strings.Repeat("A", len(random)),
		"what looks like a route": "/line",
	} {
		t.Run(proves, func(t *testing.T) {
			res := w.do("POST", "/line", strings.NewReader("1"), "Kanava-Up", secret, "Kanava-Seq", "1", "Content-Type", "application/json")
			w.wantError(res, 404, "not_found")
		})
	}
	twice := w.do("POST", "/line", strings.NewReader("1"), "Kanava-Up", c.secret, "Kanava-Up", c.secret, "Kanava-Seq", "1", "Content-Type", "application/json")
	w.wantError(twice, 404, "not_found")

	// Each secret is for its own connection, and dies with it.
	c.post(204, `"mine"`)
	c.want(event{data: `"mine"`})
	c.leave()
	w.wantLeft(ending{1006, ""})
	w.wantError(c.postAs(2, "application/json", "1"), 404, "not_found")
	other.post(204, `{"do":"ping","id":1}`)
	other.want(event{data: `{"re":1}`})
	for _, secret := range []string{c.secret, other.secret} {
		if _, key, _ := strings.Cut(secret, "."); strings.Contains(w.logged.String(), key[:8]) {
			t.Error("the secret was logged")
		}
	}
}

// A connection that is full says so, takes nothing, and takes the same later.
func TestP21_Full(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sse.Options{}, kanava.Limits{WaitingCalls: 4, Rate: kanava.Unlimited})
		c := w.plain()
		c.post(204, `{"action":"wait"}`)
		c.post(204, strings.Repeat("\"a\"\n", 10)) // taken whole, though there is not room for all
		start := time.Now()
		res := c.post(429, `"late"`)
		if took := time.Since(start); took != time.Second || res.Header.Get("Retry-After") != "1" {
			t.Errorf("it took %v, and says %q", took, res.Header.Get("Retry-After"))
		}
		body, err := io.ReadAll(res.Body)
		if want := `"retryAfter":1000}}`; err != nil || !strings.HasSuffix(string(body), want) {
			t.Errorf("got %s, %v", body, err)
		}
		// A repeat of what was taken need not wait.
		start = time.Now()
		w.wantStatus(c.postAs(2, "application/json", "1"), 204)
		if took := time.Since(start); took != 0 {
			t.Errorf("a repeat took %v", took)
		}
		// A request that waits goes on as soon as there is room.
		done := make(chan *http.Response)
		go func() { done <- c.postAs(3, "application/json", `"late"`) }()
		synctest.Wait()
		close(w.gate)
		w.wantStatus(<-done, 204)
		if took := time.Since(start); took != 0 {
			t.Errorf("it waited for %v", took)
		}
		c.want(event{data: `{"action":"wait"}`})
		for range 10 {
			c.want(event{data: `"a"`})
		}
		c.want(event{data: `"late"`})
		c.leave()
	})
}

// One request at a time: of those that come at once, the one that is complete
// first is taken, and more than four are not waited for.
func TestP21_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sse.Options{}, kanava.Limits{})
		c := w.plain()
		var slow []*io.PipeWriter
		answers := make(chan int, 4)
		for range 4 {
			r, body := io.Pipe()
			slow = append(slow, body)
			go func() {
				res := w.do("POST", "/line", r, "Kanava-Up", c.secret, "Kanava-Seq", "1", "Content-Type", "application/json")
				answers <- res.StatusCode
			}()
		}
		synctest.Wait()
		res := c.postAs(1, "application/json", `"fifth"`)
		if w.wantError(res, 429, "resource_exhausted"); res.Header.Get("Retry-After") != "1" {
			t.Error("it does not say when to come back")
		}
		for i, body := range slow {
			_, _ = fmt.Fprintf(body, `"body %d"`, i)
			_ = body.Close()
			if status := <-answers; status != 204 {
				t.Errorf("answer %d is %d", i, status)
			}
		}
		c.want(event{data: `"body 0"`})
		w.wantStatus(c.postAs(2, "application/json", `"next"`), 204)
		c.want(event{data: `"next"`}) // the repeats were not run
		c.leave()
	})
}

// Slow bodies have 15 s, whoever sends them.
func TestSlowBodies(t *testing.T) {
	for _, tt := range []struct {
		proves string
		fields func(c *conn) []string
		status int
	}{
		{"a message", func(c *conn) []string {
			return []string{"Kanava-Up", c.secret, "Kanava-Seq", "1", "Content-Type", "application/json"}
		}, 400},
		{"a hello", func(*conn) []string {
			return []string{"Accept", "text/event-stream", "Kanava-Protocol", "kanava.v1", "Content-Type", "application/json"}
		}, 400},
		{"a wrong secret", func(*conn) []string { return []string{"Kanava-Up", "x"} }, 404},
		{"no purpose", func(*conn) []string { return nil }, 406},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sse.Options{}, kanava.Limits{})
				c := w.plain()
				r, body := io.Pipe()
				start := time.Now()
				go func() { // a byte in ten seconds
					for {
						if _, err := body.Write([]byte(" ")); err != nil {
							return
						}
						time.Sleep(10 * time.Second)
					}
				}()
				w.wantStatus(w.do("POST", "/line", r, tt.fields(c)...), tt.status)
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
				_ = r.Close()
				c.post(204, `"x"`) // the connection is as it was
				c.want(event{data: `"x"`})
				c.leave()
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// Requests that carry nothing are charged like messages that say nothing: who
// goes on and on is closed.
func TestP21_RequestsOfNothingAreCharged(t *testing.T) {
	for _, tt := range []struct {
		proves string
		number func(i int) int
		body   string
	}{
		{"no messages", func(i int) int { return i }, ""},
		{"repeats", func(int) int { return 1 }, ""},
		{"wrong numbers", func(i int) int { return i + 1_000_000 }, ""},
		{"numbers that are none", func(int) int { return 0 }, ""},
		{"empty messages", func(i int) int { return i }, "\n"},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{Rate: kanava.Rate{PerSecond: 0.01, Burst: 50}})
			c := w.plain()
			n := 0
			for ; n < 1000; n++ {
				res := c.postAs(tt.number(n+1), "application/json", tt.body)
				if res.StatusCode == http.StatusNotFound {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
			}
			if e := c.next(); e.name != "close" || !strings.HasPrefix(e.data, `{"code":4429,`) {
				t.Errorf("got %+v", e)
			}
			if n < 55 || n > 300 { // 60, and what comes until the request's goroutine has seen it
				t.Errorf("it was closed after %d requests", n)
			}
			w.wantError(c.postAs(1, "application/json", "1"), 404, "not_found")
		})
	}
}

func TestP6_Bytes(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c := w.envelope()
	for _, tt := range []struct{ proves, send, want string }{
		{"bytes", `{"bin":"AP8="}`, `{"bin":"AP8="}`},
		{"no bytes", `{"bin":""}`, `{"bin":""}`},
		{"escapes of JSON", `{"bin":"\u0041P8="}`, `{"bin":"AP8="}`},
		{"not base64", `{"bin":"A"}`, `{"re":0,"err":{"code":"invalid_frame",`},
		{"no text", `{"bin":7}`, `{"re":0,"err":{"code":"invalid_frame",`},
	} {
		c.post(204, tt.send)
		if got := c.next().data; !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %s", tt.proves, got)
		}
	}
	c.seq++
	w.wantError(c.postAs(c.seq, "application/octet-stream", "x"), 415, "invalid_argument")
}
