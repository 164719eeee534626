package kanava

import (
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// Event is one event as a [Listener] gets it.
type Event struct {
	Topic  string
	Data   jsontext.Value // the payload as JSON; nil if it is binary. Shared: not to be changed
	Binary []byte         // the payload if it is binary. Shared: not to be changed
}

// event is one publication. It is shared by all subscribers and does not
// change once it is published, but for the frames and what goes with them.
type event struct {
	topic  string
	id     string // of the publication; see Once
	except string
	key    string // of a Latest topic
	data   []byte // JSON, or bytes if binary
	binary bool
	at     form.Position // the zero Position on a Volatile topic
	prev   uint64        // the offset of the event before it
	kept   time.Time     // when it was stored; zero where it is not
	own    any           // what was published; payload returns it
	far    *farPayload   // in place of own where another node may have published it
	view   viewer        // nil where all see the same
	views  any           // those that were made; of events with a view that are not only kept
	frames [form.Count]atomic.Pointer[[]byte]
	shared [form.Count]Shared
	run    *eventRun // nil where there are few subscribers; set with the topic's mu held, as is runAt
	runAt  uint8
}

// encode sets the payload. The model is nil where the type is not known
// before.
func (ev *event) encode(payload any, m *typemodel.Model) (err error) {
	ev.own = payload
	if p, ok := payload.([]byte); ok {
		ev.data, ev.binary = p, true
		return nil
	}
	if payload == nil {
		ev.data = []byte("null")
		return nil
	}
	if m == nil {
		if m, err = modelFor(payload); err != nil {
			return err
		}
		defer func() { ev.own = jsontext.Value(ev.data) }()
	}
	ev.data, err = encoded(func(buf []byte) ([]byte, error) { return m.Append(buf, payload) })
	return err
}

// setKey sets the key of an event of a Latest topic.
func (ev *event) setKey(f *family, payload any) (err error) {
	if f == nil || f.keyOf == nil {
		return nil
	}
	if ev.key, err = f.keyOf(payload); err != nil {
		return err
	}
	if len(ev.key) > 256 || !utf8.ValidString(ev.key) {
		return Errorf(CodeInvalidArgument, "the key of the event is longer than 256 bytes, or is not UTF-8")
	}
	return nil
}

func (ev *event) size() int { return len(ev.data) }

// record returns the event as history keeps it: without its frames.
func (ev *event) record(now time.Time) *event {
	return &event{
		topic: ev.topic, except: ev.except, key: ev.key, data: ev.data, binary: ev.binary,
		at: ev.at, prev: ev.prev, kept: now, own: ev.own, far: ev.far, view: ev.view,
	}
}

// frame returns the event in a wire form, encoded once for all subscribers.
func (ev *event) frame(f form.Form) Frame {
	shared := &ev.shared[f.Index()]
	if ev.binary && f.BinaryEvents() {
		return Frame{Data: ev.data, Binary: true, Shared: shared}
	}
	slot := &ev.frames[f.Index()]
	p := slot.Load()
	if p == nil {
		b, _ := encoded(func(buf []byte) ([]byte, error) {
			return f.Event(buf, form.Event{Topic: ev.topic, Key: ev.key, Data: ev.data, Binary: ev.binary, At: ev.at, Prev: ev.prev}), nil
		})
		p = &b
		slot.Store(p)
	}
	return Frame{Data: *p, Shared: shared}
}

// hidden returns the event without its payload: for a subscriber who is not to
// see it, but to know that it has missed nothing. It is false where that has no
// meaning: the form, or the topic, has no positions.
func (ev *event) hidden(f form.Form) (_ Frame, ok bool) {
	if !f.Envelope() || ev.at.Epoch == "" {
		return Frame{}, false
	}
	return Frame{Data: f.Event(nil, form.Event{Topic: ev.topic, Key: ev.key, At: ev.at, Prev: ev.prev, Hidden: true})}, true
}

// atomicFlag goes from false to true once.
type atomicFlag struct{ v atomic.Bool }

func (f *atomicFlag) set()        { f.v.Store(true) }
func (f *atomicFlag) isSet() bool { return f.v.Load() }
