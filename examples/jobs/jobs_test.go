package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs the example in a bubble, where time is exact, until the test ends.
func serve(t *testing.T) (*kanava.Server[kanava.None], *Jobs, http.Handler) {
	t.Helper()
	srv, jobs, handler := newServer()
	t.Cleanup(func() {
		jobs.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return srv, jobs, handler
}

func ask(ctx context.Context, h http.Handler, method, target, body string) (int, string) {
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// What README.md shows of curl happens.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		_, _, handler := serve(t)
		commands := 0
		for i, block := range strings.Split(string(readme), "```console\n") {
			if i == 0 {
				continue
			}
			block, _, _ = strings.Cut(block, "```")
			for _, part := range strings.Split("\n"+block, "\n$ curl ")[1:] {
				command, want, _ := strings.Cut(part, "\n")
				if strings.Contains(command, "/live") { // goes on for ever
					continue
				}
				commands++
				method, target, body := curl(t, command)
				_, got := ask(t.Context(), handler, method, target, body)
				if strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("curl %s\n%s\nwant\n%s", command, got, want)
				}
				synctest.Wait()
			}
		}
		if commands != 8 {
			t.Errorf("%d commands were replayed", commands)
		}
	})
}

// curl reads a command of the kind that the README has.
func curl(t *testing.T, command string) (method, target, body string) {
	t.Helper()
	method = http.MethodGet
	if before, quoted, ok := strings.Cut(command, " -H 'Content-Type: application/json' -d "); ok {
		method, command, body = http.MethodPost, before, strings.Trim(quoted, "'")
	}
	for word := range strings.FieldsSeq(command) {
		path, isURL := strings.CutPrefix(word, "http://localhost:3000")
		switch {
		case isURL:
			target = path
		case word == "DELETE":
			method = word
		case word != "-N" && word != "-X":
			t.Fatalf("curl %s: %s is not understood", command, word)
		}
	}
	return method, target, body
}

// Watchers over the channel and over HTTP see the same of one job, and any of
// them may leave.
func TestWatchersSeeTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _, handler := serve(t)
		starter := kanavatest.Dial(t, srv, "/live")
		starter.SendText(`{"action":"start","name":"a","seconds":10}`)
		starter.Next() // the event
		starter.Next() // the answer
		starter.Leave()

		synctest.Wait()
		watcher := kanavatest.Dial(t, srv, "/live")
		const first = `{"id":"1","name":"a","state":"running","percent":0,"step":"Reading"}`
		early, leave := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer leave()
		left := make(chan string, 1)
		go func() {
			_, body := ask(early, handler, http.MethodGet, "/jobs/1/events", "")
			left <- body
		}()
		_, whole := ask(t.Context(), handler, http.MethodGet, "/jobs/1/events", "")
		if n := strings.Count(whole, "data: {\"id\""); n != 11 || !strings.HasPrefix(whole, "data: "+first) || !strings.HasSuffix(whole, "event: end\ndata: {}\n\n") {
			t.Errorf("%d values:\n%s", n, whole)
		}
		if seen := <-left; !strings.HasPrefix(whole, seen) || strings.Count(seen, "data: ") != 4 {
			t.Errorf("who left saw\n%s", seen)
		}
		for percent := 10; percent <= 100; percent += 10 {
			if got := watcher.Next(); !strings.Contains(got, `"topic":"jobs:all"`) {
				t.Errorf("at %d: %s", percent, got)
			}
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, jobs, _ := serve(t)
		start := func() error {
			_, err := jobs.start(t.Context(), Start{"x", 1})
			return err
		}
		for range maxRunning {
			if err := start(); err != nil {
				t.Fatal(err)
			}
		}
		var e *kanava.Error
		if err := start(); !errors.As(err, &e) || e.Code != kanava.CodeResourceExhausted || e.RetryAfter == 0 {
			t.Errorf("one job too many: %v", err)
		}
		for range 20 {
			time.Sleep(2 * time.Second)
			for range maxRunning {
				if err := start(); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(2 * time.Second)
		if list := jobs.list(); len(list) != maxOver || list[0].ID != "168" || list[0].State != Done {
			t.Errorf("%d jobs are kept, the newest is %+v", len(list), list[0])
		}
		if _, _, err := jobs.look("1"); err == nil {
			t.Error("the first is still there")
		}
	})
}

// Closing ends what runs, and who watches sees it.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, jobs, handler := serve(t)
		if code, body := ask(t.Context(), handler, http.MethodPost, "/jobs", `{"name":"a"}`); code != http.StatusOK {
			t.Fatal(body)
		}
		time.AfterFunc(1500*time.Millisecond, jobs.Close)
		_, body := ask(t.Context(), handler, http.MethodGet, "/jobs/1/events", "")
		if !strings.HasSuffix(body, `"state":"canceled","percent":10,"step":"Reading"}`+"\n\nevent: end\ndata: {}\n\n") {
			t.Errorf("the watcher saw\n%s", body)
		}
		if code, body := ask(t.Context(), handler, http.MethodPost, "/jobs", `{"name":"b"}`); code != http.StatusServiceUnavailable {
			t.Errorf("another job: %d %s", code, body)
		}
	})
}

func TestPage(t *testing.T) {
	_, _, handler := serve(t)
	code, body := ask(t.Context(), handler, http.MethodGet, "/", "")
	if code != http.StatusOK || !strings.Contains(body, "connectJobs") || strings.Contains(body, "\nimport ") {
		t.Errorf("%d, %d bytes", code, len(body))
	}
}
