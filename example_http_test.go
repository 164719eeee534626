package kanava_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/httpfunc"
)

// The same plain function on a channel and over HTTP.
func ExampleServer_WireHTTP() {
	type Order struct {
		ID    string `json:"id" path:"id"`
		Count int    `json:"count" minimum:"1"`
	}
	order := kanava.PlainFunc(func(_ context.Context, in Order) (string, error) {
		return fmt.Sprintf("%d of %s", in.Count, in.ID), nil
	}, kanava.Public())

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "shop", Route: "/shop",
		Messages: kanava.By[kanava.None, kanava.None]("action").Plain("order", order),
	})
	srv.WireHTTP("POST /items/{id}/orders", order)

	client := connect(srv, "/shop")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"order","id":"tea","count":2}`))

	web := httptest.NewServer(httpfunc.Handler(srv, httpfunc.Options{}))
	defer web.Close()
	for _, body := range []string{`{"count":2}`, `{"count":0}`} {
		res, err := http.Post(web.URL+"/items/tea/orders", "application/json", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.StatusCode, string(text))
	}
	// Output:
	// {"action":"order","result":"2 of tea"}
	// 200 "2 of tea"
	// 400 {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/count","message":"must be at least 1"}]}}
}

// A transport for requests that do not come from net/http: it opens a call,
// runs it, and ends it. Where items of streams go is its own affair.
func ExampleHTTPDispatcher() {
	type Name struct {
		Name string `json:"name" query:"name"`
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.WireHTTP("GET /hello", kanava.PlainFunc(func(_ context.Context, in Name) (string, error) {
		return "Hello, " + in.Name + "!", nil
	}, kanava.Public()))

	serve := func(d kanava.HTTPDispatcher, method, target string) {
		u, err := url.Parse(target)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, err := d.OpenHTTP(context.Background(), method, &kanava.OpenRequest{URL: u, Header: http.Header{}})
		if err != nil {
			fmt.Println(err, d.HTTPMethods(&kanava.OpenRequest{URL: u}))
			return
		}
		defer call.End()
		result, err := call.Run(nil, nil)
		fmt.Println(string(result), err)
	}
	serve(srv, "GET", "/hello?name=Ada")
	serve(srv, "POST", "/hello")
	// Output:
	// "Hello, Ada!" <nil>
	// not_found: no function has this path [GET HEAD]
}
