package webpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

var hello = webpubsub.Message{Type: webpubsub.Text, Data: []byte("hello")}

func TestTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []int
		tries   int
		fails   bool
	}{
		"throttled":               {[]int{429}, 2, false},
		"not there for a moment":  {[]int{503, 503}, 3, false},
		"a gateway's answers":     {[]int{502, 504}, 3, false},
		"no answer":               {[]int{0}, 2, false},
		"four times at most":      {[]int{429, 0, 503, 429, 429}, 4, true},
		"until it is refused":     {[]int{503, 400}, 2, true},
		"not after a fault of it": {[]int{500}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := first(tc.answers...)
				err := clientOf(t, s).SendToConnection(t.Context(), "conn1", hello)
				all := s.requests()
				if len(all) != tc.tries || (err != nil) != tc.fails {
					t.Fatalf("%d tries, %v; want %d", len(all), err, tc.tries)
				}
				for i := 1; i < len(all); i++ {
					grown := 200 * time.Millisecond << (i - 1)
					if wait := all[i].At.Sub(all[i-1].At); wait < grown/2 || wait >= grown*3/2 {
						t.Errorf("wait %d was %v, want about %v", i, wait, grown)
					}
					if all[i].Body != "hello" || all[i].URL != all[0].URL {
						t.Errorf("try %d is another request", i+1)
					}
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		field string
		least time.Duration
		tries int
	}{
		"seconds":             {"7", 7 * time.Second, 2},
		"half a minute":       {"30", 30 * time.Second, 2},
		"a date":              {"Sat, 01 Jan 2000 00:00:05 GMT", 5 * time.Second, 2},
		"a date that is over": {"Sat, 01 Jan 1994 00:00:00 GMT", 0, 2},
		"too long to wait":    {"31", 0, 1},
		"nonsense":            {"soon", 0, 2},
		"less than nothing":   {"-5", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins on 1 January 2000
				s := &service{}
				s.answer = func(try int, _ *http.Request) (*http.Response, error) {
					if try == 1 {
						return response(429, "", "Retry-After", tc.field), nil
					}
					return response(202, ""), nil
				}
				err := clientOf(t, s).SendToAll(t.Context(), hello)
				all := s.requests()
				if len(all) != tc.tries {
					t.Fatalf("%d tries, %v", len(all), err)
				}
				if tc.tries == 1 {
					var refused *webpubsub.ResponseError
					if !errors.As(err, &refused) || refused.RetryAfter != 31*time.Second || time.Since(all[0].At) != 0 {
						t.Errorf("%v after %v", err, time.Since(all[0].At))
					}
					return
				}
				if wait := all[1].At.Sub(all[0].At); wait < tc.least || wait > tc.least+time.Second {
					t.Errorf("waited %v", wait)
				}
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := always(429, "", "Retry-After", "10")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := clientOf(t, s).SendToAll(ctx, hello)
		var refused *webpubsub.ResponseError
		if !errors.As(err, &refused) || time.Since(began) != 0 {
			t.Errorf("with a deadline before the next try: %v after %v, want the answer at once", err, time.Since(began))
		}

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		began = time.Now()
		if err := clientOf(t, s).SendToAll(ctx, hello); err == nil || time.Since(began) != 3*time.Second {
			t.Errorf("cancelled: %v after %v", err, time.Since(began))
		}
		if n := len(s.requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestTimeoutOfOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.answer = func(try int, r *http.Request) (*http.Response, error) {
			if try == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return response(202, ""), nil
		}
		if err := clientOf(t, s).SendToAll(t.Context(), hello); err != nil {
			t.Fatal(err)
		}
		all := s.requests()
		if wait := all[1].At.Sub(all[0].At); wait < 15*time.Second || wait > 16*time.Second {
			t.Errorf("tried again after %v", wait)
		}
	})
}

func TestSendToConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, asked atomic.Int32
		s := &service{}
		s.answer = func(_ int, r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second) // virtual
			if r.URL.Path == "/api/hubs/chat/connections/c13/:send" {
				return response(404, ""), nil
			}
			return response(202, ""), nil
		}
		c := clientOf(t, s, func(o *webpubsub.ClientOptions) { o.Parallel = 8 })
		ids := func(yield func(string) bool) {
			for i := range 200 {
				if ahead := asked.Add(1) - int32(len(s.requests())); ahead > 10 {
					t.Errorf("asked for id %d, %d ahead of the requests", i, ahead)
				}
				if !yield(fmt.Sprintf("c%d", i)) {
					return
				}
			}
		}
		began := time.Now()
		failed := c.SendToConnections(t.Context(), ids, hello)
		if len(failed) != 1 || !errors.Is(failed["c13"], webpubsub.ErrGone) {
			t.Errorf("failed: %v", failed)
		}
		if len(s.requests()) != 200 || most.Load() != 8 || time.Since(began) != 25*time.Second {
			t.Errorf("%d requests, %d at a time, in %v", len(s.requests()), most.Load(), time.Since(began))
		}

		if failed := c.SendToConnections(t.Context(), slices.Values([]string{"a", "b"}), hello); failed != nil {
			t.Errorf("without a failure: %v", failed)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := len(s.requests())
		failed = c.SendToConnections(ctx, slices.Values(strings.Split("abcdefghijklmnop", "")), hello)
		if len(failed) != 16 || !errors.Is(failed["a"], context.Canceled) || len(s.requests()) != before {
			t.Errorf("after the context's end: %v, and %d requests", failed, len(s.requests())-before)
		}
	})
}

// The bound is the client's, whoever makes the requests.
func TestParallelIsOfTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s := &service{}
		s.answer = func(int, *http.Request) (*http.Response, error) {
			<-goOn
			return response(202, ""), nil
		}
		c := clientOf(t, s, func(o *webpubsub.ClientOptions) { o.Parallel = 3 })
		for range 5 {
			go func() {
				if err := c.SendToAll(t.Context(), hello); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		if n := len(s.requests()); n != 3 {
			t.Errorf("%d requests under way, not 3", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.SendToAll(ctx, hello); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for room until the deadline gets %v", err)
		}
		close(goOn)
		synctest.Wait()
		if n := len(s.requests()); n != 5 {
			t.Errorf("%d requests in the end, not 5", n)
		}
	})
}
