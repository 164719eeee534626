package dynamodb

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	latestTime = 24 * time.Hour // the newest event of a key is kept
	latestMost = 1024           // keys that are read
)

// latestPart is the partition of what a Latest topic keeps.
func latestPart(topic, epoch string) string { return kindLatest + epoch + topic }

// keepLatest keeps the events of a batch as the newest of their keys.
func (t table) keepLatest(ctx context.Context, topic string, h *head, now time.Time) error {
	newest := make(map[string]located)
	for _, n := range h.entries(0) {
		newest[n.key] = n
	}
	var keep []located
	for _, n := range newest {
		if time.UnixMilli(n.ms).Add(latestTime).After(now) {
			keep = append(keep, n)
		}
	}
	return atOnce(ctx, len(keep), func(ctx context.Context, i int) error {
		n := keep[i]
		one := batch{class: engine.Latest, token: h.batch.token, events: []entry{n.entry}}
		it := key(latestPart(topic, h.epoch), "="+n.key)
		it[headLast], it[headBatch], it[ending] = numberOf(n.offset), binaryOf(one.encode()), numberOf(endOf(time.UnixMilli(n.ms).Add(latestTime)))
		// Where it is false a newer one is kept already.
		_, err := t.put(ctx, it, condition{"attribute_not_exists(pk) OR o < :o", item{":o": numberOf(n.offset)}})
		return err
	})
}

// readLatest reads the newest event of each key, and where the topic stands then. What
// is published meanwhile may move a key after it was read, or before: what the log has
// of that time is read, too.
func (e *Engine) readLatest(ctx context.Context, t engine.Topic) (*head, []located, error) {
	const attempts = 3
	for range attempts {
		begin, err := e.headOf(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		newest := make(map[string]located)
		add := func(entries []located) {
			for _, n := range entries {
				if n.offset > newest[n.key].offset {
					newest[n.key] = n
				}
			}
		}
		now := time.Now()
		for it, err := range e.table.query(ctx, latestPart(t.Name, begin.epoch), nil, 0) {
			if err != nil {
				return nil, nil, err
			}
			b, err := parseBatch(bytesIn(it, headBatch))
			if err != nil {
				return nil, nil, err
			}
			add(b.after(0, uint64(numberIn(it, headLast))))
			prune(newest, 4*latestMost)
		}
		add(begin.entries(0))
		end, err := e.headOf(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		if end.epoch != begin.epoch {
			continue
		}
		if end.before() > begin.last {
			for b, err := range e.table.log(ctx, t.Name, end.epoch, begin.last, 0) {
				if err != nil {
					return nil, nil, err
				}
				if b.last > end.before() {
					break
				}
				add(b.after(begin.last, b.last))
			}
		}
		if end.wrong != nil {
			return nil, nil, end.wrong
		}
		add(end.entries(0))
		for k, n := range newest {
			if !time.UnixMilli(n.ms).Add(latestTime).After(now) {
				delete(newest, k)
			}
		}
		prune(newest, latestMost)
		return end, sortedOf(newest), nil
	}
	return nil, nil, errMoved
}

// prune leaves out the oldest, where there are more keys than are promised.
func prune(newest map[string]located, most int) {
	if len(newest) <= most {
		return
	}
	all := sortedOf(newest)
	for _, n := range all[:len(all)-latestMost] {
		delete(newest, n.key)
	}
}

func sortedOf(newest map[string]located) []located {
	all := make([]located, 0, len(newest))
	for _, n := range newest {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b located) int { return cmp.Compare(a.offset, b.offset) })
	return all
}
