package form

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// Plain is the plain form: what a few lines of JavaScript, or Pikku's clients,
// understand.
var Plain Form = plain{}

type plain struct{}

func (plain) Index() int                            { return 0 }
func (plain) Envelope() bool                        { return false }
func (plain) BinaryEvents() bool                    { return true }
func (plain) BeginReply(dst []byte, _ Route) []byte { return dst }
func (plain) BeginItem(dst []byte, _ Route) []byte  { return dst }
func (plain) EndItem(dst []byte) []byte             { return dst }
func (plain) BeginPush(dst []byte, _ string) []byte { return dst }
func (plain) EndPush(dst []byte) []byte             { return dst }

// EndReply adds the routing member as the last: {"message":"hi"} becomes
// {"message":"hi","action":"x"}, anything else {"action":"x","result":…}.
func (plain) EndReply(dst []byte, from int, r Route) []byte {
	if r.Action == "" {
		return dst
	}
	out := dst[from:]
	switch {
	case len(out) == 0:
		dst = append(dst, '{')
	case out[0] == '{':
		if r.Dynamic {
			dst = cutMember(dst, from, r.Key)
		}
		dst = dst[:len(dst)-1]
		if len(dst) > from+1 {
			dst = append(dst, ',')
		}
	default:
		result := append([]byte(nil), out...)
		dst = appendMember(append(dst[:from], '{'), r)
		dst = append(dst, `,"result":`...)
		dst = append(dst, result...)
		return append(dst, '}')
	}
	return append(appendMember(dst, r), '}')
}

// cutMember takes a member named key out of the object at dst[from:]: the
// routing member wins over a result that has one of its own, as only maps and
// raw JSON can.
func cutMember(dst []byte, from int, key string) []byte {
	var found [1]jsonscan.Member
	if _, err := jsonscan.Scan(dst[from:], []string{key}, found[:], jsonscan.Limits{Depth: maxDepth}); err != nil || !found[0].Found() {
		return dst
	}
	jsonscan.Blank(dst[from:], found[0])
	// What was blanked, with its comma, is the one run of spaces here: results
	// are compact.
	start, end := from+found[0].Start, from+found[0].End
	for dst[start-1] == ' ' {
		start--
	}
	for dst[end] == ' ' {
		end++
	}
	return append(dst[:start], dst[end:]...)
}

// maxDepth is far above what the encoder writes: results are ours.
const maxDepth = 10_000

func appendMember(dst []byte, r Route) []byte {
	dst = appendString(dst, r.Key)
	dst = append(dst, ':')
	return appendString(dst, r.Action)
}

func (plain) Event(dst []byte, ev Event) []byte {
	dst = append(dst, `{"topic":`...)
	dst = appendString(dst, ev.Topic)
	dst = append(dst, `,"data":`...)
	dst = append(dst, ev.Data...)
	return append(dst, '}')
}

// AppendLost appends that the events between two positions cannot be had any
// more.
func AppendLost(dst []byte, topic string, from, to Position) []byte {
	dst = appendString(append(dst, `{"topic":`...), topic)
	dst = appendPlace(append(dst, `,"from":`...), from)
	dst = appendPlace(append(dst, `,"to":`...), to)
	return append(dst, '}')
}

func appendPlace(dst []byte, at Position) []byte {
	dst = appendString(append(dst, `{"e":`...), at.Epoch)
	return append(strconv.AppendUint(append(dst, `,"o":`...), at.Offset, 10), '}')
}

func (plain) Error(dst []byte, r Route, e Error) []byte {
	dst = append(dst, '{')
	if r.Action != "" {
		dst = append(appendMember(dst, r), ',')
	}
	dst = append(dst, `"error":`...)
	dst = AppendError(dst, e)
	return append(dst, '}')
}

// AppendError appends the error object that is the same in every form and over
// HTTP.
func AppendError(dst []byte, e Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendString(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	if len(e.Details) > 0 {
		dst = append(dst, `,"details":[`...)
		for i, d := range e.Details {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"pointer":`...)
			dst = appendString(dst, d.Pointer)
			dst = append(dst, `,"message":`...)
			dst = appendString(dst, d.Message)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	if e.RetryAfter > 0 {
		dst = append(dst, `,"retryAfter":`...)
		dst = strconv.AppendInt(dst, e.RetryAfter, 10)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string. Invalid UTF-8 becomes the
// replacement character: what is named here must never break a frame.
func appendString(dst []byte, s string) []byte {
	b, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return b // AppendQuote has written the string with replacements
	}
	return b
}
