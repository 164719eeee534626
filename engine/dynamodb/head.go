package dynamodb

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/kanava-go/kanava/engine"
)

// The attributes of a head, and of an item of a log.
const (
	headEpoch = "ep" // begins with the mark of the table
	headLast  = "o"
	headBatch = "b"
)

// headTime is how long a topic keeps its position after it was used, and longer than
// its events.
const headTime = 48 * time.Hour

// head is where a topic stands, with the last events. Whoever publishes the next ones
// writes it anew, if it is still the same, and before that sees to it that the log
// has what is in it: so an event is published by one write, with its offset, and a
// process that dies leaves nothing half done.
type head struct {
	epoch string
	last  uint64
	batch batch
	ends  int64

	copied bool  // this process knows that the log has the batch
	wrong  error // the batch is in a form that is not known
}

// before is the offset before the batch.
func (h *head) before() uint64 { return h.last - uint64(len(h.batch.events)) }

func (h *head) position() engine.Position { return engine.Position{Epoch: h.epoch, Offset: h.last} }

// entries are those of the batch that follow an offset.
func (h *head) entries(since uint64) []located { return h.batch.after(since, h.last) }

// after returns the entries of a batch that ends with an offset, as far as they
// follow another.
func (b *batch) after(since, last uint64) []located {
	var out []located
	for i, n := range b.events {
		if offset := last - uint64(len(b.events)-1-i); offset > since {
			out = append(out, located{n, offset})
		}
	}
	return out
}

// markLen is how many letters of an epoch are those of its table.
const markLen = 5

// markOf stands for a table in epochs: one that was restored from a backup has another
// name, and its topics are not where they were.
func markOf(name string) string {
	return base32.StdEncoding.EncodeToString(digest(name))[:markLen]
}

// head returns the head of a topic, nil if it has none.
func (t table) head(ctx context.Context, topic string) (*head, error) {
	it, err := t.get(ctx, key(kindTopic+topic, alone))
	if err != nil {
		return nil, err
	}
	return t.headOf(it), nil
}

// headOf returns the head of an item. That of another table is none.
func (t table) headOf(it item) *head {
	ep, _ := it[headEpoch].(*types.AttributeValueMemberS)
	if ep == nil || len(ep.Value) < markLen || ep.Value[:markLen] != t.mark {
		return nil
	}
	h := &head{epoch: ep.Value, last: uint64(numberIn(it, headLast)), ends: numberIn(it, ending)}
	if b := bytesIn(it, headBatch); len(b) > 0 {
		h.batch, h.wrong = parseBatch(b)
	}
	if uint64(len(h.batch.events)) > h.last {
		h.batch, h.wrong = batch{}, errForm
	}
	return h
}

// newHead returns the head of a topic nobody has published to.
func (t table) newHead() *head {
	return &head{epoch: t.mark + rand.Text()[:16-markLen]}
}

// makeHead returns the head of a topic, and makes it if there is none.
func (t table) makeHead(ctx context.Context, topic string) (*head, error) {
	for {
		h := t.newHead()
		out, err := t.put(ctx, t.headItem(topic, h, time.Now()), t.noHead())
		if err != nil {
			return nil, err
		}
		if out.done {
			return h, nil
		}
		if h, err = t.head(ctx, topic); h != nil || err != nil {
			return h, err
		}
	}
}

// noHead is the condition that a topic has no head.
func (t table) noHead() condition {
	return condition{
		"attribute_not_exists(pk) OR NOT begins_with(ep, :mark)",
		item{":mark": &types.AttributeValueMemberS{Value: t.mark}},
	}
}

// still is the condition that a topic has this head.
func (h *head) still() condition {
	return condition{"ep = :ep AND o = :o", item{":ep": &types.AttributeValueMemberS{Value: h.epoch}, ":o": numberOf(h.last)}}
}

func (t table) headItem(topic string, h *head, now time.Time) item {
	it := key(kindTopic+topic, alone)
	h.ends = endOf(now.Add(headTime + h.batch.keeps))
	it[headEpoch], it[headLast], it[ending] = &types.AttributeValueMemberS{Value: h.epoch}, numberOf(h.last), numberOf(h.ends)
	if len(h.batch.events) > 0 {
		it[headBatch] = binaryOf(h.batch.encode())
	}
	return it
}

// touch lets the head of a topic that is used last longer, once a day.
func (t table) touch(ctx context.Context, topic string, h *head) error {
	now := time.Now()
	lasts := headTime + h.batch.keeps
	if h.ends > now.Add(lasts-headTime/2).Unix() {
		return nil
	}
	_, err := t.update(ctx, key(kindTopic+topic, alone), "SET ends = :ends", condition{
		"ep = :ep", item{":ep": &types.AttributeValueMemberS{Value: h.epoch}, ":ends": numberOf(endOf(now.Add(lasts)))},
	})
	return err
}

// advance writes the next head in the place of one that was read, which is nil if
// there was none. It is false if that is not there any more. Now is where the topic
// stands then, or nil if that is not known.
func (t table) advance(ctx context.Context, topic string, h, next *head) (done bool, now *head, err error) {
	c := t.noHead()
	if h != nil {
		c = h.still()
	}
	out, err := t.put(ctx, t.headItem(topic, next, time.Now()), c, told)
	switch {
	case err != nil:
		return false, nil, err
	case out.done:
		return true, next, nil
	case !out.unsure:
		return false, t.headOf(out.item), nil
	}
	// An attempt whose answer was lost may have done it.
	now, err = t.head(ctx, topic)
	if err != nil || now == nil || now.epoch != next.epoch || now.wrong != nil {
		return false, nil, err
	}
	if now.batch.token == next.batch.token {
		return true, now, nil
	}
	it, err := t.get(ctx, logKey(topic, next.epoch, next.last))
	if err != nil || len(it) == 0 {
		return false, now, err
	}
	b, err := parseBatch(bytesIn(it, headBatch))
	return err == nil && b.token == next.batch.token, now, err
}

// logPart is the partition of the log of a topic.
func logPart(topic, epoch string) string { return kindLog + epoch + topic }

// logKey is that of a batch which ends with an offset.
func logKey(topic, epoch string, last uint64) item {
	return key(logPart(topic, epoch), string(offsetKey(last)))
}

func offsetKey(offset uint64) []byte { return binary.BigEndian.AppendUint64(nil, offset) }

// copyOut writes the last events of a topic to where they are kept, before others take
// their place in the head. It does no harm to do it twice, or late.
func (t table) copyOut(ctx context.Context, topic string, h *head) error {
	if h == nil || h.copied || len(h.batch.events) == 0 {
		return nil
	}
	now := time.Now()
	if h.batch.class == engine.Latest {
		if err := t.keepLatest(ctx, topic, h, now); err != nil {
			return err
		}
	}
	if ends := h.batch.latest().Add(h.batch.lasts()); ends.After(now) {
		it := logKey(topic, h.epoch, h.last)
		it[headBatch], it[ending] = binaryOf(h.batch.encode()), numberOf(endOf(ends))
		if _, err := t.put(ctx, it, condition{}); err != nil {
			return err
		}
	}
	h.copied = true
	return nil
}

// logged is a batch of a log.
type logged struct {
	batch

	last uint64
}

// log returns the batches of a log that have events which follow an offset.
func (t table) log(ctx context.Context, topic, epoch string, since uint64, most int32) iter.Seq2[logged, error] {
	return func(yield func(logged, error) bool) {
		for it, err := range t.query(ctx, logPart(topic, epoch), offsetKey(since), most) {
			var b logged
			if err == nil {
				b.batch, err = parseBatch(bytesIn(it, headBatch))
			}
			if err == nil {
				b.last = binary.BigEndian.Uint64(bytesIn(it, sorting))
				if uint64(len(b.events)) > b.last {
					err = errForm
				}
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// removeAll removes items, in any order.
func (t table) removeAll(ctx context.Context, keys []item) error {
	const most = 25
	for len(keys) > 0 {
		n := min(len(keys), most)
		left := make([]types.WriteRequest, n)
		for i, k := range keys[:n] {
			left[i].DeleteRequest = &types.DeleteRequest{Key: k}
		}
		keys = keys[n:]
		for attempt := 0; len(left) > 0; attempt++ {
			out, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{t.name: left}})
			if err != nil {
				return err
			}
			if left = out.UnprocessedItems[t.name]; len(left) > 0 {
				if err := pause(ctx, backOff(attempt)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
