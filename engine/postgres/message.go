package postgres

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// The body of an event, as it is sent and kept: flags; if they say so the key and
// who is not to see it, each after its length; data.
const (
	flagBinary = 1 << 0
	flagKey    = 1 << 1
	flagExcept = 1 << 2
)

// newBody returns the body of an event. Nothing of it is the caller's.
func newBody(ev *engine.Event) []byte {
	b := make([]byte, 1, 1+2*binary.MaxVarintLen32+len(ev.Key)+len(ev.Except)+len(ev.Data))
	if ev.Binary {
		b[0] |= flagBinary
	}
	if ev.Key != "" {
		b[0] |= flagKey
		b = binary.AppendUvarint(b, uint64(len(ev.Key)))
		b = append(b, ev.Key...)
	}
	if ev.Except != "" {
		b[0] |= flagExcept
		b = binary.AppendUvarint(b, uint64(len(ev.Except)))
		b = append(b, ev.Except...)
	}
	return append(b, ev.Data...)
}

// parseBody puts what a body says into an event, which has b from then on. It is
// false for what a program of another version may have written.
func parseBody(ev *engine.Event, b []byte) (ok bool) {
	if len(b) == 0 || b[0]&^(flagBinary|flagKey|flagExcept) != 0 {
		return false
	}
	flags := b[0]
	b = b[1:]
	ev.Binary = flags&flagBinary != 0
	if flags&flagKey != 0 {
		if ev.Key, b, ok = cutText(b); !ok {
			return false
		}
	}
	if flags&flagExcept != 0 {
		if ev.Except, b, ok = cutText(b); !ok {
			return false
		}
	}
	ev.Data = b
	return true
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}

// A notification says, with a space between each: the name of the topic, its class
// (v, o, l, r), the epoch, when that was (µs), the number of the first event, which
// of the events that follow are none (counted from 0; -: all are), and the events,
// with commas. Names and bodies are in base64. In place of an event there may be
// where it is: @TOPIC,SIZE or #PAYLOAD,SIZE.

// notificationMost is the length of what a notification says, at most.
const notificationMost = 7999

// headLength is the length of what stands before the events, besides what head
// returns, at most.
const headLength = 1 + 16 + 1 + 17 + 1 + 16 + 1 + 1 + 1

// classes are the names of classes in notifications and in SQL.
var classes = [...]string{engine.Volatile: "v", engine.Latest: "l", engine.Ordered: "o", engine.Recoverable: "r"}

// head is what the notifications of a topic begin with.
func head(t engine.Topic) string {
	return text64.EncodeToString([]byte(t.Name)) + " " + classes[t.Class]
}

// place is where an event is that did not fit.
type place struct {
	topic, number int64 // of a Recoverable topic; or 0 and the number of a payload
	size          int
}

// arrival is an event that has come, or where it is to be had.
type arrival struct {
	engine.Event

	at *place // nil if the event is there
}

// topicName returns what stands for the name of the topic in a notification.
func topicName(notification string) string {
	name, _, _ := strings.Cut(notification, " ")
	return name
}

// parseNotification returns the events of a notification. It is false for what a
// program of another version may have sent.
func parseNotification(notification string) (events []arrival, ok bool) {
	f := strings.SplitN(notification, " ", 7)
	if len(f) < 7 {
		return nil, false
	}
	micros, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return nil, false
	}
	number, err := strconv.ParseUint(f[4], 10, 64)
	if err != nil {
		return nil, false
	}
	epoch := strings.Clone(f[2]) // who keeps it does not keep the notification
	known := "," + f[5] + ","
	add := func() *arrival {
		events = append(events, arrival{})
		a := &events[len(events)-1]
		if f[1] != classes[engine.Volatile] {
			a.At = engine.Position{Epoch: epoch, Offset: number}
			a.Prev = number - 1
			a.Time = time.UnixMicro(micros)
			number++
		}
		return a
	}
	if strings.HasPrefix(f[6], "@") || strings.HasPrefix(f[6], "#") {
		a := add()
		a.at, ok = parsePlace(f[6], int64(a.At.Offset))
		return events, ok
	}
	i := 0
	for text := range strings.SplitSeq(f[6], ",") {
		if known == ",-," || !strings.Contains(known, ","+strconv.Itoa(i)+",") {
			body, err := text64.DecodeString(text)
			if err != nil || !parseBody(&add().Event, body) {
				return nil, false
			}
		}
		i++
	}
	return events, true
}

// parsePlace reads where an event is; offset is its own.
func parsePlace(text string, offset int64) (*place, bool) {
	first, second, _ := strings.Cut(text[1:], ",")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return nil, false
	}
	size, err := strconv.Atoi(second)
	if err != nil {
		return nil, false
	}
	if text[0] == '#' {
		return &place{number: n, size: size}, true
	}
	return &place{topic: n, number: offset, size: size}, true
}
