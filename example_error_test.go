package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kanava-go/kanava"
)

// Errors made by Errorf reach the client. Others are logged, and the client
// learns nothing of them.
func ExampleErrorf() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Item struct {
		Name string `json:"name"`
	}
	buy := func(_ context.Context, _ *Line, in Item) error {
		if in.Name == "moon" {
			return kanava.Errorf(kanava.CodeFailedPrecondition, "the %s is sold out", in.Name)
		}
		return errors.New("connect to 10.0.0.7:5432: no route to host")
	}
	client := connect(oneRoute(kanava.OnDo("buy", buy)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"buy","name":"moon"}`))
	fmt.Println(client.ask(`{"action":"buy","name":"sun"}`))
	// Output:
	// {"action":"buy","error":{"code":"failed_precondition","message":"the moon is sold out"}}
	// {"action":"buy","error":{"code":"internal","message":"internal error"}}
}

// The cause is for the log, and for errors.Is.
func ExampleError_Because() {
	err := error(kanava.Errorf(kanava.CodeNotFound, "no such document").Because(fs.ErrNotExist))
	fmt.Println(err)
	fmt.Println(errors.Is(err, fs.ErrNotExist))

	if e, ok := errors.AsType[*kanava.Error](err); ok {
		fmt.Println("the client gets:", e.Code, e.Message)
	}
	// Output:
	// not_found: no such document: file does not exist
	// true
	// the client gets: not_found no such document
}

// Every code has an HTTP status. A program's own codes begin with "x_".
func ExampleError_HTTPStatus() {
	fmt.Println(kanava.Errorf(kanava.CodeResourceExhausted, "slow down").HTTPStatus())
	fmt.Println(kanava.Errorf("x_out_of_coffee", "later").HTTPStatus())
	// Output:
	// 429
	// 400
}

// Transfer is an input with a rule that no tag can say.
type Transfer struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Validate runs when the tags have found no fault.
func (t Transfer) Validate(context.Context) error {
	if t.From == t.To {
		return kanava.Invalid("/to", "must be another account than %q", t.From)
	}
	return nil
}

// Invalid points at the member that is wrong. Below other values the pointer
// is completed: Validate need not know where its value stands.
func ExampleInvalid() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Batch struct {
		Transfers []Transfer `json:"transfers"`
	}
	run := func(context.Context, *Line, Batch) error { return nil }

	client := connect(oneRoute(kanava.OnDo("run", run)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"run","transfers":[{"from":"a","to":"b"},{"from":"c","to":"c"}]}`))
	// Output: {"action":"run","error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/transfers/1/to","message":"must be another account than \"c\""}]}}
}
