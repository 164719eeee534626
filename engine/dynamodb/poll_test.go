package dynamodb_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/dynamodb"
)

// nothing answers every look with no items.
type nothing struct{ looks atomic.Int64 }

func (n *nothing) RoundTrip(req *http.Request) (*http.Response, error) {
	n.looks.Add(1)
	io.Copy(io.Discard, req.Body)
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"Responses":{},"UnprocessedKeys":{}}`)), Request: req,
	}, nil
}

type deaf struct{}

func (deaf) Deliver(string, []engine.Event) {}
func (deaf) Resumed(...string)              {}

// TestPollCost is that a topic in which nothing happens costs one look each 8 times
// Poll, however many there are, up to a hundred for a call, and that one that is left
// costs nothing.
func TestPollCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &nothing{}
		e, err := dynamodb.New(dynamodb.Options{Client: clientBy(server, "127.0.0.1:1"), Poll: time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		e.Start(deaf{})
		during := func(d time.Duration) int64 {
			before := server.looks.Load()
			time.Sleep(d)
			synctest.Wait()
			return server.looks.Load() - before
		}
		if n := during(time.Hour); n != 0 {
			t.Errorf("without a topic there are %d calls", n)
		}
		var topics []engine.Topic
		for range 100 {
			topics = append(topics, topic(engine.Ordered))
			if err := e.Subscribe(t.Context(), topics[len(topics)-1]); err != nil {
				t.Fatal(err)
			}
		}
		if n := during(20 * time.Second); n < 4 || n > 5 { // after 1, 3, 7 and 15 s
			t.Errorf("at first there are %d calls in 20 s", n)
		}
		if n := during(80 * time.Second); n < 9 || n > 11 {
			t.Errorf("then there are %d calls in 80 s, want one in 8 s", n)
		}
		for _, t := range topics {
			e.Unsubscribe(t)
		}
		if n := during(time.Hour); n != 0 {
			t.Errorf("after all topics were left there are %d calls", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}
