package nats

import (
	"encoding/base64"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// mostAtOnce is how many messages are sorted by topic before they are delivered.
const mostAtOnce = 512

// deliver hands what comes to the handler, until the end. One goroutine does it
// for all topics: so calls for one topic do not overlap.
func (e *Engine) deliver() {
	ts := &e.topics
	batch := make([]*natsgo.Msg, 0, mostAtOnce)
	for {
		batch = batch[:0]
		read := e.link.unread.read.Load()
		select {
		case m := <-ts.incoming:
			batch = append(batch, m)
		default:
			e.link.unread.clear(read)
			select {
			case m := <-ts.incoming:
				batch = append(batch, m)
			case <-e.closed:
				return
			}
		}
	gather:
		for len(batch) < mostAtOnce {
			select {
			case m := <-ts.incoming:
				batch = append(batch, m)
			default:
				break gather
			}
		}
		e.deliverAll(batch)
		clear(batch)
		if missed, all := ts.takeMissed(); all {
			e.resumed()
		} else if len(missed) > 0 {
			e.resumed(missed...)
		}
	}
}

// deliverAll sorts messages by topic and delivers each topic's at once.
func (e *Engine) deliverAll(batch []*natsgo.Msg) {
	ts := &e.topics
	var of []*interest // those with events in batch
	ts.mu.Lock()
	for _, m := range batch {
		i := ts.of[m.Subject]
		if i == nil {
			if m.Subject == ts.probe {
				e.calls.probed(m)
			}
			continue
		}
		ev, stream, ok := decode(m)
		if !ok {
			continue // not of ours
		}
		if stream != "" {
			if i.at.Epoch == ev.At.Epoch && ev.At.Offset <= i.at.Offset {
				continue // came twice, or so late that others have passed it
			}
			i.at = ev.At
			if i.stream != nil {
				i.stream.saw(stream, ev.At.Offset)
			}
		}
		if len(i.batch) == 0 {
			of = append(of, i)
		}
		i.batch = append(i.batch, ev)
	}
	ts.mu.Unlock()
	ts.delivering.Lock()
	defer ts.delivering.Unlock()
	for _, i := range of {
		events := i.batch
		i.batch = nil
		if !ts.silent.Load() {
			e.handler.Deliver(i.topic, events)
		}
	}
}

func (e *Engine) resumed(topics ...string) {
	e.topics.delivering.Lock()
	defer e.topics.delivering.Unlock()
	if !e.topics.silent.Load() {
		e.handler.Resumed(topics...)
	}
}

// decode makes an event of a message of a live subject, and says of which
// stream it is.
func decode(m *natsgo.Msg) (ev engine.Event, stream string, ok bool) {
	ev.Data = m.Data
	if m.Header == nil {
		return ev, "", true
	}
	if ok := decodeHeader(m.Header, &ev); !ok {
		return ev, "", false
	}
	if stream = first(m.Header, natsgo.JSStream); stream == "" {
		return ev, "", true
	}
	ok = decodeStored(m.Header, stream, &ev)
	if retentionIn(stream) == ofLatest {
		ev.Key, _ = untoken(lastToken(first(m.Header, natsgo.JSSubject)))
		return ev, stream, ok
	}
	prev, err := strconv.ParseUint(first(m.Header, natsgo.JSLastSequence), 10, 64)
	ev.Prev = prev
	return ev, stream, ok && err == nil
}

// decodeStored takes what the server says of a message that is in a stream.
func decodeStored(h natsgo.Header, stream string, ev *engine.Event) bool {
	offset, err := strconv.ParseUint(first(h, natsgo.JSSequence), 10, 64)
	if err != nil {
		return false
	}
	ev.At = engine.Position{Epoch: epochIn(stream), Offset: offset}
	ev.Time, err = time.Parse(time.RFC3339Nano, first(h, natsgo.JSTimeStamp))
	return err == nil
}

// decodeHeader takes what the publisher has said.
func decodeHeader(h natsgo.Header, ev *engine.Event) bool {
	ev.Binary = first(h, headerBinary) != ""
	if except := first(h, headerExcept); except != "" {
		text, err := base64.RawURLEncoding.DecodeString(except)
		if err != nil {
			return false
		}
		ev.Except = string(text)
	}
	return true
}

// first is Header.Get for a name as it comes.
func first(h natsgo.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
