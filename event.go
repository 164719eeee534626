package kanava

import (
	"sync/atomic"

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
	except string
	data   []byte // JSON, or bytes if binary
	binary bool
	at     form.Position
	value  any // what outgoing middleware sees
	frames [form.Count]atomic.Pointer[[]byte]
	shared [form.Count]Shared
}

// encode sets the payload. The model is nil where the type is not known
// before.
func (ev *event) encode(payload any, m *typemodel.Model) (err error) {
	ev.value = payload
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
		defer func() { ev.value = jsontext.Value(ev.data) }()
	}
	ev.data, err = encoded(func(buf []byte) ([]byte, error) { return m.Append(buf, payload) })
	return err
}

func (ev *event) size() int { return len(ev.data) }

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
			return f.Event(buf, form.Event{Topic: ev.topic, Data: ev.data, Binary: ev.binary, At: ev.at}), nil
		})
		p = &b
		slot.Store(p)
	}
	return Frame{Data: *p, Shared: shared}
}

// hidden returns the event without its payload: for a subscriber who is not to
// see it, but to know that it has missed nothing.
func (ev *event) hidden(f form.Form) Frame {
	return Frame{Data: f.Event(nil, form.Event{Topic: ev.topic, At: ev.at, Hidden: true})}
}

// atomicFlag goes from false to true once.
type atomicFlag struct{ v atomic.Bool }

func (f *atomicFlag) set()        { f.v.Store(true) }
func (f *atomicFlag) isSet() bool { return f.v.Load() }
