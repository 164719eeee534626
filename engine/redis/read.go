package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kanava-go/kanava/engine"
)

// pageBytes is how many bytes of events Read returns, as a rule.
const pageBytes = 1 << 20

var errShort = errors.New("a script has returned less than it should")

// Read implements [engine.Broker].
func (e *Engine) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	page, err := e.read(ctx, t, since, limit)
	if err != nil {
		return engine.Page{}, fmt.Errorf("redis: read: %w", err)
	}
	return page, nil
}

func (e *Engine) read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (page engine.Page, err error) {
	meta := e.opts.topicKey(t.Name)
	r := e.topicRun()
	r.keys = append([]string{meta}, keptKeys(meta, t.Class)...)
	r.args = append(r.args, classes[t.Class], since.Epoch, strconv.FormatUint(since.Offset, 10),
		strconv.Itoa(max(limit, 0)), strconv.Itoa(pageBytes))
	answers, err := e.eval(ctx, readScript, r)
	if err != nil {
		return page, err
	}
	m, err := answers[0].ToArray()
	if err != nil {
		return page, err
	}
	if len(m) < 5 {
		return page, errShort
	}
	if page.At, err = position(m); err != nil {
		return page, err
	}
	if page.Lost, err = m[2].AsBool(); err != nil {
		return page, err
	}
	if page.More, err = m[3].AsBool(); err != nil {
		return page, err
	}
	kept, err := m[4].ToArray()
	if err != nil {
		return page, err
	}
	page.Events = make([]engine.Event, 0, len(kept))
	for i := range kept {
		text, err := kept[i].ToString()
		if err != nil {
			return page, err
		}
		ev, ok := parseMessage(text)
		if !ok {
			return page, errors.New("an event is in a form that this version does not know")
		}
		ev.At.Epoch = page.At.Epoch // it may have been kept in an earlier one
		page.Events = append(page.Events, ev)
	}
	return page, nil
}
