package kanava

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"time"
)

// None is the input or output of a function that has none. As an output it
// sends no value; as an input it takes an object without members.
type None struct{}

// fn is a function of the program with its types erased. It is immutable: one
// fn may stand in several channels.
type fn struct {
	kind    Kind
	in, out reflect.Type // nil where there is none
	stream  bool
	keyless bool       // idempotency keys mean nothing to it: to repeat it is to run it again
	newIn   func() any // pointer to a zero input; nil where there is none
	// call runs the function. in is what newIn made; ch is the
	// *Channel of the connection, nil for a plain function; s is set for streams.
	call  func(ctx context.Context, ch, in any, s *streamEnd) (any, error)
	opts  funcOptions
	where place
	goFn  string // the Go function, as the runtime names it
}

// Kind tells which of a channel's functions an [Invocation] or a [Payload] belongs to.
type Kind uint8

// The kinds. The first four are functions; a Payload can be of any but
// KindDisconnect.
const (
	KindMessage    Kind = iota // an action, or OnMessage
	KindConnect                // OnConnect
	KindDisconnect             // OnDisconnect
	KindBinary                 // OnBinary
	KindItem                   // a payload only: what a stream function sent
	KindPush                   // a payload only: a Push, or SendBinary
	KindEvent                  // a payload only: an event of a topic
	KindCall                   // a payload only: what a ClientFunc is asked
	KindPresence               // a payload only: the data of a member of a Presence
)

var kindNames = [...]string{"message", "connect", "disconnect", "binary", "item", "push", "event", "call", "presence"}

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

type funcOptions struct {
	access     access
	allow      [][]string // one of each must be held
	summary    string
	tags       []string
	middleware []Middleware
	concurrent bool
	timeout    time.Duration
	rate       Rate
}

type access uint8

const (
	accessDefault   access = 0
	accessPublic    access = 1
	accessProtected access = 2 // with accessPublic: a contradiction, which Wire refuses
)

// FuncOption is an option of one function.
type FuncOption func(*funcOptions)

// Public lets connections without a session call the function.
func Public() FuncOption { return func(o *funcOptions) { o.access |= accessPublic } }

// Protected demands a session for the function, also on a channel that is
// Public, and for OnConnect and OnDisconnect, which need none otherwise.
func Protected() FuncOption { return func(o *funcOptions) { o.access |= accessProtected } }

// Allow demands a session that has at least one of the permissions; see
// [Identity]. Several Allow options must all be met.
func Allow(permissions ...string) FuncOption {
	return func(o *funcOptions) { o.allow = append(o.allow, permissions) }
}

// Doc describes the function for people and generated documents.
func Doc(summary string, tags ...string) FuncOption {
	return func(o *funcOptions) { o.summary, o.tags = summary, append(o.tags, tags...) }
}

// With puts middleware around this function, inside that of the server and
// the channel. The first is the outermost.
func With(mw ...Middleware) FuncOption {
	return func(o *funcOptions) { o.middleware = append(o.middleware, mw...) }
}

// Concurrent runs the function beside the connection's other calls: it starts
// in order, and those that follow do not wait for it. Its reply comes when it
// is ready.
func Concurrent() FuncOption { return func(o *funcOptions) { o.concurrent = true } }

// Timeout sets the deadline of the function's context, in place of
// Limits.CallTime, which streams do not have.
func Timeout(d time.Duration) FuncOption { return func(o *funcOptions) { o.timeout = d } }

// newFn begins the fn of a function; what is the name of the constructor that
// calls it.
func newFn(what string, function any, kind Kind, opts []FuncOption) *fn {
	f := &fn{kind: kind, where: callerPlace(1)}
	v := reflect.ValueOf(function)
	mustFunc(v.IsNil(), what, f.where)
	if rf := runtime.FuncForPC(v.Pointer()); rf != nil {
		f.goFn = rf.Name()
	}
	for _, o := range opts {
		mustFunc(o == nil, "an option of "+what, f.where)
		o(&f.opts)
	}
	return f
}

// mustFunc panics if a function that the program passes is nil.
func mustFunc(missing bool, what string, where place) {
	if missing {
		panic(fmt.Sprintf("kanava: %s at %s: the function is nil", what, where))
	}
}

// noneType marks inputs and outputs that do not exist.
var noneType = reflect.TypeFor[None]()

func outType[Out any]() reflect.Type {
	if t := reflect.TypeFor[Out](); t != noneType {
		return t
	}
	return nil
}

// result boxes what a function returned, nil for None.
func result[Out any](out Out, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if _, none := any(out).(None); none {
		return nil, nil
	}
	return out, nil
}

// The values that the constructors below return belong to one kind of channel:
// a wiring for other types does not take them.
type (
	// Connect is an OnConnect function; see [ConnectFunc].
	Connect[Open, Session any] struct {
		_ [0]func(Open, Session)
		f *fn
	}
	// Disconnect is an OnDisconnect function; see [DisconnectFunc].
	Disconnect[Open, Session any] struct {
		_ [0]func(Open, Session)
		f *fn
	}
	// Message is an OnMessage function; see [Func].
	Message[Open, Session any] struct {
		_ [0]func(Open, Session)
		f *fn
	}
	// Binary is an OnBinary function; see [BinaryFunc].
	Binary[Open, Session any] struct {
		_ [0]func(Open, Session)
		f *fn
	}
)

// ConnectFunc makes an OnConnect function. What it returns is the first thing
// the client is sent; messages that arrive meanwhile wait. An error is sent to
// the client and ends the connection.
func ConnectFunc[Open, Session, Out any](f func(ctx context.Context, ch *Channel[Open, Session]) (Out, error), opts ...FuncOption) Connect[Open, Session] {
	e := newFn("ConnectFunc", f, KindConnect, opts)
	e.out = outType[Out]()
	e.call = func(ctx context.Context, ch, _ any, _ *streamEnd) (any, error) {
		return result(f(ctx, ch.(*Channel[Open, Session])))
	}
	return Connect[Open, Session]{f: e}
}

// DisconnectFunc makes an OnDisconnect function. It runs once, after all other
// functions of the connection have returned, with a context of its own;
// [Channel.Closed] tells how the connection ended. Its error is logged.
func DisconnectFunc[Open, Session any](f func(ctx context.Context, ch *Channel[Open, Session]) error, opts ...FuncOption) Disconnect[Open, Session] {
	e := newFn("DisconnectFunc", f, KindDisconnect, opts)
	e.call = func(ctx context.Context, ch, _ any, _ *streamEnd) (any, error) {
		return nil, f(ctx, ch.(*Channel[Open, Session]))
	}
	return Disconnect[Open, Session]{f: e}
}

// BinaryFunc makes an OnBinary function. It owns p; what it returns is sent as
// one binary frame, nil sends nothing.
func BinaryFunc[Open, Session any](f func(ctx context.Context, ch *Channel[Open, Session], p []byte) ([]byte, error), opts ...FuncOption) Binary[Open, Session] {
	e := newFn("BinaryFunc", f, KindBinary, opts)
	e.call = func(ctx context.Context, ch, in any, _ *streamEnd) (any, error) {
		out, err := f(ctx, ch.(*Channel[Open, Session]), *in.(*[]byte))
		if err != nil || out == nil {
			return nil, err
		}
		return out, nil
	}
	return Binary[Open, Session]{f: e}
}

// Func makes an OnMessage function: it takes what no route takes. Its result
// is sent as it is.
func Func[Open, Session, In, Out any](f func(ctx context.Context, ch *Channel[Open, Session], in In) (Out, error), opts ...FuncOption) Message[Open, Session] {
	return Message[Open, Session]{f: messageFn(f, newFn("Func", f, KindMessage, opts))}
}

// On makes a route: messages whose routing member is name go to f. Its result
// is sent with the routing member added.
func On[Open, Session, In, Out any](name string, f func(ctx context.Context, ch *Channel[Open, Session], in In) (Out, error), opts ...FuncOption) Route[Open, Session] {
	return Route[Open, Session]{name: name, f: messageFn(f, newFn("On", f, KindMessage, opts))}
}

// OnDo makes a route for a function without a result.
func OnDo[Open, Session, In any](name string, f func(ctx context.Context, ch *Channel[Open, Session], in In) error, opts ...FuncOption) Route[Open, Session] {
	e := newFn("OnDo", f, KindMessage, opts)
	setIn[In](e)
	e.call = func(ctx context.Context, ch, in any, _ *streamEnd) (any, error) {
		return nil, f(ctx, ch.(*Channel[Open, Session]), *in.(*In))
	}
	return Route[Open, Session]{name: name, f: e}
}

// OnStream makes a route for a function that sends any number of values while
// it runs. It runs beside the connection's other calls and has no deadline
// unless Timeout gives it one; its context ends with the connection.
func OnStream[Open, Session, In, Out any](name string, f func(ctx context.Context, ch *Channel[Open, Session], in In, out *Stream[Out]) error, opts ...FuncOption) Route[Open, Session] {
	e := newFn("OnStream", f, KindMessage, opts)
	setIn[In](e)
	e.out, e.stream = reflect.TypeFor[Out](), true
	e.call = func(ctx context.Context, ch, in any, s *streamEnd) (any, error) {
		return nil, f(ctx, ch.(*Channel[Open, Session]), *in.(*In), streamTo[Out](s))
	}
	return Route[Open, Session]{name: name, f: e}
}

func messageFn[Open, Session, In, Out any](f func(context.Context, *Channel[Open, Session], In) (Out, error), e *fn) *fn {
	setIn[In](e)
	e.out = outType[Out]()
	e.call = func(ctx context.Context, ch, in any, _ *streamEnd) (any, error) {
		return result(f(ctx, ch.(*Channel[Open, Session]), *in.(*In)))
	}
	return e
}

func setIn[In any](e *fn) {
	e.in = reflect.TypeFor[In]()
	e.newIn = func() any { return new(In) }
}

// Plain is a function that knows nothing of channels. The same value can be
// mounted on any number of channels; [SessionFrom] gives it the session.
type Plain struct{ f *fn }

// PlainFunc makes a Plain of a function with input and output.
func PlainFunc[In, Out any](f func(ctx context.Context, in In) (Out, error), opts ...FuncOption) Plain {
	e := newFn("PlainFunc", f, KindMessage, opts)
	setIn[In](e)
	e.out = outType[Out]()
	e.call = func(ctx context.Context, _, in any, _ *streamEnd) (any, error) {
		return result(f(ctx, *in.(*In)))
	}
	return Plain{e}
}

// PlainDo makes a Plain of a function without a result.
func PlainDo[In any](f func(ctx context.Context, in In) error, opts ...FuncOption) Plain {
	e := newFn("PlainDo", f, KindMessage, opts)
	setIn[In](e)
	e.call = func(ctx context.Context, _, in any, _ *streamEnd) (any, error) {
		return nil, f(ctx, *in.(*In))
	}
	return Plain{e}
}

// PlainStream makes a Plain of a function that sends any number of values; see
// [OnStream].
func PlainStream[In, Out any](f func(ctx context.Context, in In, out *Stream[Out]) error, opts ...FuncOption) Plain {
	e := newFn("PlainStream", f, KindMessage, opts)
	setIn[In](e)
	e.out, e.stream = reflect.TypeFor[Out](), true
	e.call = func(ctx context.Context, _, in any, s *streamEnd) (any, error) {
		return nil, f(ctx, *in.(*In), streamTo[Out](s))
	}
	return Plain{e}
}
