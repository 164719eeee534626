package httpfunc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/httpfunc"
	"github.com/kanava-go/kanava/transport/ws"
)

type Countdown struct {
	From int `json:"from" path:"from" minimum:"0" maximum:"10"`
}

func countdown(ctx context.Context, in Countdown, out *kanava.Stream[int]) error {
	for n := in.From; n >= 0; n-- {
		if err := out.Send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// A stream function as server-sent events: a page reads them with EventSource.
func ExampleHandler() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.WireHTTP("GET /countdown/{from}", kanava.PlainStream(countdown, kanava.Public()))

	web := httptest.NewServer(httpfunc.Handler(srv, httpfunc.Options{}))
	defer web.Close()
	res, err := http.Get(web.URL + "/countdown/2")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	events, err := io.ReadAll(res.Body)
	fmt.Print(res.Header.Get("Content-Type"), "\n\n", string(events))
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// text/event-stream
	//
	// data: 2
	//
	// data: 1
	//
	// data: 0
	//
	// event: end
	// data: {}
}

// A channel and functions at one path: what no function takes goes on to the
// channel.
func ExampleOptions() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "jobs", Route: "/jobs"})
	srv.WireHTTP("POST /jobs", kanava.PlainDo(func(context.Context, kanava.None) error { return nil }, kanava.Public()))
	handler := httpfunc.Handler(srv, httpfunc.Options{Fallback: ws.Handler(srv, ws.Options{})})

	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(method, "/jobs", http.NoBody))
		fmt.Println(method, rec.Code)
	}
	// Output:
	// POST 204
	// PUT 426
	// GET 426
}
