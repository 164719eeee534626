package dynamodb

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// idTime is how long an ID is known: two minutes, and the time that its publication
// may take. The log has all events of that time.
const idTime = 2*time.Minute + 2*commitTime

// What tells whether an ID was published is the events themselves. An item says for
// each ID after which offset they begin to be of interest: where it is new none of
// those up to there has it.

const idUntil = "u" // ms, until when an ID is known

// unknown returns the publications whose IDs no event has, as far as the topic stands
// at h, and tells the others.
func (e *Engine) unknown(ctx context.Context, topic string, h *head, of []*publication) ([]*publication, error) {
	var with, first []*publication
	for _, p := range of {
		if p.entry.id != "" {
			if i := slices.IndexFunc(with, func(q *publication) bool { return q.entry.id == p.entry.id }); i >= 0 {
				with[i].twins = append(with[i].twins, p)
				continue
			}
			with = append(with, p)
		}
		first = append(first, p)
	}
	if len(with) == 0 {
		return first, nil
	}
	err := atOnce(ctx, len(with), func(ctx context.Context, i int) error { return e.register(ctx, topic, h, with[i]) })
	if err != nil || h == nil {
		return first, err
	}
	have, err := e.idsAfter(ctx, topic, h, with)
	if err != nil {
		return nil, err
	}
	var left []*publication
	for _, p := range first {
		if p.entry.id != "" && have[p.entry.id] {
			p.tell(result{})
			continue
		}
		p.epoch, p.clear = h.epoch, h.last
		left = append(left, p)
	}
	return left, nil
}

// register finds out up to where no event has an ID.
func (e *Engine) register(ctx context.Context, topic string, h *head, p *publication) error {
	epoch, last := "", uint64(0)
	if h != nil {
		epoch, last = h.epoch, h.last
	}
	for !p.known {
		now := time.Now()
		it := key(kindID+string(digest(topic, p.entry.id)), alone)
		it[headEpoch], it[headLast] = &types.AttributeValueMemberS{Value: epoch}, numberOf(last)
		it[idUntil], it[ending] = numberOf(now.Add(idTime).UnixMilli()), numberOf(endOf(now.Add(2*idTime)))
		out, err := e.table.put(ctx, it, condition{"attribute_not_exists(pk) OR u <= :now", item{":now": numberOf(now.UnixMilli())}}, told)
		if err != nil {
			return err
		}
		if out.done {
			p.known, p.epoch, p.clear = true, epoch, last
			break
		}
		there := out.item
		if there == nil {
			if there, err = e.table.get(ctx, key(kindID+string(digest(topic, p.entry.id)), alone)); err != nil {
				return err
			}
		}
		if ep, ok := there[headEpoch].(*types.AttributeValueMemberS); ok {
			p.known, p.epoch, p.clear = true, ep.Value, uint64(numberIn(there, headLast))
		}
	}
	if p.epoch != epoch {
		p.epoch, p.clear = epoch, 0
	}
	return nil
}

// idsAfter returns which of the IDs of publications events have, of those of which that
// is not known yet.
func (e *Engine) idsAfter(ctx context.Context, topic string, h *head, of []*publication) (map[string]bool, error) {
	clearOf := make(map[string]uint64, len(of))
	since := h.last
	for _, p := range of {
		clearOf[p.entry.id] = p.clear
		since = min(since, p.clear)
	}
	have := make(map[string]bool)
	look := func(entries []located) {
		for _, n := range entries {
			if after, asked := clearOf[n.id]; asked && n.offset > after {
				have[n.id] = true
			}
		}
	}
	look(h.entries(since))
	if since >= h.before() {
		return have, nil
	}
	for b, err := range e.table.log(ctx, topic, h.epoch, since, 0) {
		if err != nil {
			return nil, err
		}
		look(b.after(since, min(b.last, h.last)))
		if b.last >= h.before() {
			break
		}
	}
	return have, nil
}
