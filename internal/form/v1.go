package form

import (
	"encoding/base64"
	"strconv"
)

// V1 is kanava.v1: an envelope with request ids and positions, for the
// generated clients (docs/protocol.md section 3).
var V1 Form = v1{}

type v1 struct{}

func (v1) Index() int         { return 1 }
func (v1) Envelope() bool     { return true }
func (v1) BinaryEvents() bool { return false }

func (v1) BeginReply(dst []byte, r Route) []byte {
	dst = appendReplyTo(dst, r)
	return append(dst, `,"out":`...)
}

// EndReply cuts the member "out" off again where there is no result.
func (v1) EndReply(dst []byte, from int, _ Route) []byte {
	if len(dst) == from {
		dst = dst[:len(dst)-len(`,"out":`)]
	}
	return append(dst, '}')
}

func (v1) BeginItem(dst []byte, r Route) []byte {
	dst = appendReplyTo(dst, r)
	return append(dst, `,"item":`...)
}

func (v1) EndItem(dst []byte) []byte { return append(dst, '}') }

func (v1) BeginPush(dst []byte, name string) []byte {
	dst = appendString(append(dst, `{"push":`...), name)
	return append(dst, `,"v":`...)
}

func (v1) EndPush(dst []byte) []byte { return append(dst, '}') }

func (v1) Event(dst []byte, ev Event) []byte {
	dst = appendString(append(dst, `{"on":`...), ev.Topic)
	dst = appendPosition(dst, ev.At)
	if ev.Prev+1 != ev.At.Offset && ev.At.Epoch != "" {
		dst = strconv.AppendUint(append(dst, `,"p":`...), ev.Prev, 10)
	}
	if ev.Key != "" {
		dst = appendString(append(dst, `,"k":`...), ev.Key)
	}
	return append(appendPayload(dst, ev), '}')
}

func appendPayload(dst []byte, ev Event) []byte {
	switch {
	case ev.Hidden:
	case ev.Binary:
		dst = append(dst, `,"b64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, ev.Data)
		dst = append(dst, '"')
	default:
		dst = append(dst, `,"data":`...)
		dst = append(dst, ev.Data...)
	}
	return dst
}

func (v1) Error(dst []byte, r Route, e Error) []byte {
	dst = appendReplyTo(dst, r)
	dst = AppendError(append(dst, `,"err":`...), e)
	return append(dst, '}')
}

func appendReplyTo(dst []byte, r Route) []byte {
	return strconv.AppendUint(append(dst, `{"re":`...), r.ID, 10)
}

func appendPosition(dst []byte, at Position) []byte {
	if at.Epoch == "" {
		return dst
	}
	dst = appendString(append(dst, `,"e":`...), at.Epoch)
	return strconv.AppendUint(append(dst, `,"o":`...), at.Offset, 10)
}

// Greeting is what a server tells a client at first.
type Greeting struct {
	ID       string // of the connection
	Max      int    // bytes of a message
	Calls    int    // unanswered calls allowed
	Ping     int64  // milliseconds after which a silent server sends a sign of life
	Keep     int64  // milliseconds after which a silent client sends a ping; 0 where it need not
	Keys     int64  // milliseconds for which the results of calls with keys are kept
	Contract string // "" is unknown
	Upstream string // secret of the requests by which messages come; "" where they come otherwise
}

// AppendOpen appends the answer to a client's hello.
func AppendOpen(dst []byte, g Greeting) []byte {
	dst = appendString(append(dst, `{"open":{"id":`...), g.ID)
	dst = strconv.AppendInt(append(dst, `,"max":`...), int64(g.Max), 10)
	dst = strconv.AppendInt(append(dst, `,"calls":`...), int64(g.Calls), 10)
	dst = strconv.AppendInt(append(dst, `,"ping":`...), g.Ping, 10)
	dst = strconv.AppendInt(append(dst, `,"keep":`...), g.Keep, 10)
	dst = strconv.AppendInt(append(dst, `,"keys":`...), g.Keys, 10)
	if g.Contract != "" {
		dst = appendString(append(dst, `,"contract":`...), g.Contract)
	}
	if g.Upstream != "" {
		dst = appendString(append(dst, `,"up":`...), g.Upstream)
	}
	return append(dst, `,"has":[]}}`...)
}

// AppendOpened appends the push that says that OnConnect has ended without a
// result.
func AppendOpened(dst []byte) []byte { return append(dst, `{"push":""}`...) }

// AppendSub appends that a subscription stands.
func AppendSub(dst []byte, topic, class string, at Position) []byte {
	dst = appendString(append(dst, `{"sub":`...), topic)
	dst = appendString(append(dst, `,"class":`...), class)
	return append(appendPosition(dst, at), '}')
}

// AppendAt appends where a topic stands, after events that were not sent.
func AppendAt(dst []byte, topic string, at Position) []byte {
	dst = appendString(append(dst, `{"at":`...), topic)
	return append(appendPosition(dst, at), '}')
}

// BeginPage begins what followed a position: after it come the events, then
// EndPage. AppendPage makes it the answer to a call.
func BeginPage(dst []byte, epoch string) []byte {
	dst = appendString(append(dst, `{"ok":true,"e":`...), epoch)
	return append(dst, `,"events":[`...)
}

// AppendPageEvent appends an event of a page; see BeginPage.
func AppendPageEvent(dst []byte, first bool, ev Event) []byte {
	if !first {
		dst = append(dst, ',')
	}
	dst = strconv.AppendUint(append(dst, `{"o":`...), ev.At.Offset, 10)
	return append(appendPayload(dst, ev), '}')
}

// EndPage ends a page of events up to offset to, which are not all if there is
// more.
func EndPage(dst []byte, to uint64, more bool) []byte {
	dst = strconv.AppendUint(append(dst, `],"o":`...), to, 10)
	if more {
		dst = append(dst, `,"more":true`...)
	}
	return append(dst, '}')
}

// AppendNoPage appends, in place of a page, that the server does not know what
// followed a position; the topic stands at at.
func AppendNoPage(dst []byte, at Position) []byte {
	return append(appendPosition(append(dst, `{"ok":false`...), at), '}')
}

// AppendPage appends the answer to the call with this id; see BeginPage.
func AppendPage(dst []byte, id uint64, page []byte) []byte {
	dst = append(appendReplyTo(dst, Route{ID: id}), `,"out":`...)
	return append(append(dst, page...), '}')
}

// AppendUnsub appends the last frame of a subscription.
func AppendUnsub(dst []byte, topic, reason string) []byte {
	dst = appendString(append(dst, `{"unsub":`...), topic)
	dst = appendString(append(dst, `,"reason":`...), reason)
	return append(dst, '}')
}

// AppendSession appends when the session ends, in milliseconds from now.
func AppendSession(dst []byte, expiresIn int64) []byte {
	dst = strconv.AppendInt(append(dst, `{"session":{"expiresIn":`...), expiresIn, 10)
	return append(dst, '}', '}')
}

// AppendAway appends that a close with this code follows, and within which
// range of milliseconds to come back; to 0 says nothing of that.
func AppendAway(dst []byte, code uint16, from, to int64) []byte {
	dst = strconv.AppendUint(append(dst, `{"away":{"code":`...), uint64(code), 10)
	if to > 0 {
		dst = strconv.AppendInt(append(dst, `,"in":[`...), from, 10)
		dst = strconv.AppendInt(append(dst, ','), to, 10)
		dst = append(dst, ']')
	}
	return append(dst, '}', '}')
}

// AppendPong appends the answer to a client's ping.
func AppendPong(dst []byte, id uint64) []byte {
	return append(appendReplyTo(dst, Route{ID: id}), '}')
}

// TopicPosition is where a topic stands.
type TopicPosition struct {
	Topic string
	At    Position
}

// AppendPongAt is AppendPong where the client is also told where its topics stand.
func AppendPongAt(dst []byte, id uint64, at []TopicPosition) []byte {
	if len(at) == 0 {
		return AppendPong(dst, id)
	}
	dst = append(appendReplyTo(dst, Route{ID: id}), `,"out":{"at":{`...)
	for i, t := range at {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, t.Topic), ":{"...)
		dst = appendString(append(dst, `"e":`...), t.At.Epoch)
		dst = strconv.AppendUint(append(dst, `,"o":`...), t.At.Offset, 10)
		dst = append(dst, '}')
	}
	return append(dst, "}}}"...)
}

// BeginAsk and EndAsk stand around the input of a call of a client's function,
// which the caller appends between them. ms is its time limit.
func BeginAsk(dst []byte, name string, id uint64) []byte {
	dst = appendString(append(dst, `{"call":`...), name)
	dst = strconv.AppendUint(append(dst, `,"id":`...), id, 10)
	return append(dst, `,"in":`...)
}

// EndAsk ends what BeginAsk has begun.
func EndAsk(dst []byte, ms int64) []byte {
	return append(strconv.AppendInt(append(dst, `,"ms":`...), ms, 10), '}')
}

// AppendCancel appends that the context of a call of the client's function has
// ended.
func AppendCancel(dst []byte, id uint64) []byte {
	return append(strconv.AppendUint(append(dst, `{"cancel":`...), id, 10), '}')
}
