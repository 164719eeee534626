package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

const (
	sendTime = 5 * time.Second        // a transaction that takes longer is given up
	heldTime = 100 * time.Millisecond // for how long a connection waits for a topic that somebody else has
	ttlMost  = 10 * 365 * 24 * time.Hour
	nameMost = 512
	keyMost  = 256
)

// Publish implements [engine.Broker].
func (e *Engine) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	_, _, err := e.PublishStamped(ctx, t, ev)
	return err
}

// PublishStamped implements [engine.Stamper].
func (e *Engine) PublishStamped(ctx context.Context, t engine.Topic, ev engine.Event) (stamped engine.Event, published bool, err error) {
	published, err = e.publish(ctx, t, &ev)
	if err != nil {
		return ev, false, fmt.Errorf("postgres: publish: %w", err)
	}
	return ev, published, nil
}

// publish publishes an event, and sets in it what the server has.
func (e *Engine) publish(ctx context.Context, t engine.Topic, ev *engine.Event) (published bool, err error) {
	if err := e.usable(ctx); err != nil {
		return false, err
	}
	p, err := newPublication(t, ev)
	if err != nil {
		return false, err
	}
	if err := e.enqueue(p); err != nil {
		return false, err
	}
	select {
	case err = <-p.done:
		if err == nil && p.at.Offset > 0 {
			ev.At, ev.Prev, ev.Time = p.at, p.at.Offset-1, p.time
		}
		return err == nil && !p.known, err
	case <-e.life.Done():
		p.gone.Store(true)
		return false, engine.ErrClosed
	case <-ctx.Done():
		p.gone.Store(true)
		return false, e.because(ctx.Err())
	}
}

// newPublication prepares an event.
func newPublication(t engine.Topic, ev *engine.Event) (*publication, error) {
	if t.Name == "" || len(t.Name) > nameMost || len(ev.Key) > keyMost {
		return nil, errors.New("the name of the topic has to have 1 to 512 bytes, and the key 256 at most")
	}
	p := &publication{topic: t, key: []byte(ev.Key), body: newBody(ev), done: make(chan error, 1)}
	if ev.ID != "" {
		p.id, p.mark = idDigest(ev.ID), rand.Int64() //nolint:gosec // tells them apart, and is no secret
	}
	return p, nil
}

// batch is what the function publish_events of the schema takes, see there.
type batch struct {
	names           [][]byte
	classes         []string
	sizes           []int32
	ttls            []int64
	channels, heads []string
	counts, packs   []int32
	ids             [][]byte
	marks           []int64
	keys, bodies    [][]byte
	fits            []int32
	texts           []string
}

// add puts the publications of a topic into a batch.
func (b *batch) add(o *Options, ld *load) {
	t := ld.topic
	b.names = append(b.names, []byte(t.Name))
	b.classes = append(b.classes, classes[t.Class])
	b.sizes = append(b.sizes, int32(min(max(t.Size, 1), 1<<30)))
	b.ttls = append(b.ttls, ttlMillis(t.TTL))
	b.channels = append(b.channels, o.channel(channelOf(t.Name)))
	b.heads = append(b.heads, head(t))
	b.counts = append(b.counts, int32(len(ld.of)))
	packs := len(b.fits)
	room := 0 // in the last notification
	for i, p := range ld.of {
		b.ids = append(b.ids, p.id)
		b.marks = append(b.marks, p.mark)
		b.keys = append(b.keys, p.key)
		text, fits := inline(b.heads[len(b.heads)-1], p.body)
		if fits && t.Class == engine.Ordered {
			b.bodies = append(b.bodies, nil)
		} else {
			b.bodies = append(b.bodies, p.body)
		}
		// A known event that is not to be counted costs five characters in the list of those.
		need := len(text) + 6
		if i > 0 && fits && need <= room {
			b.fits[len(b.fits)-1]++
			b.texts[len(b.texts)-1] += "," + text
			room -= need
			continue
		}
		b.fits = append(b.fits, 1)
		b.texts = append(b.texts, text)
		if room = 0; fits {
			room = notificationMost - len(b.heads[len(b.heads)-1]) - headLength - need
		}
	}
	b.packs = append(b.packs, int32(len(b.fits)-packs))
}

// inline returns what stands for a body in a notification, "" if it does not fit.
func inline(head string, body []byte) (text string, fits bool) {
	if len(head)+headLength+text64.EncodedLen(len(body))+6 > notificationMost {
		return "", false
	}
	return text64.EncodeToString(body), true
}

// ttlMillis is a time to live as the schema wants it: 1 ms at the least.
func ttlMillis(d time.Duration) int64 {
	return max(min(d, ttlMost).Milliseconds(), 1)
}

// What publish_events returns of a topic.
const (
	published = iota
	heldByOther
	withoutRow
)

// outcomes is what publish_events returns, see there.
type outcomes struct {
	results        []int32
	epochs         []string
	moments, seqs  []int64
	known, knownAt []*int64
}

// stamp tells the publications of a topic what they have become. n is the number of
// the topic, and first that of the first of them.
func (o *outcomes) stamp(n, first int, of []*publication) {
	seq := o.seqs[n]
	for i, p := range of {
		at, micros := seq+1, o.moments[n]
		if o.known != nil && o.known[first+i] != nil {
			at, micros = *o.known[first+i], *o.knownAt[first+i]
		} else {
			seq++
		}
		if p.known = at == 0; !p.known {
			p.at, p.time = engine.Position{Epoch: o.epochs[n], Offset: uint64(at)}, time.UnixMicro(micros)
		}
	}
}

// sendKept publishes to topics with positions. It waits so long for a topic that
// somebody else has; 0: not at all.
func (e *Engine) sendKept(cargo []*load, wait time.Duration) {
	slices.SortFunc(cargo, func(a, b *load) int { return cmp.Compare(a.topic.Name, b.topic.Name) })
	b := &batch{}
	for _, ld := range cargo {
		b.add(&e.opts, ld)
	}
	o, err := e.publishEvents(b, wait)
	if code(err) == "55P03" && wait > 0 {
		o.results, err = []int32{heldByOther}, nil
	}
	if err != nil {
		e.failed(cargo, err)
		return
	}
	var missing [][]byte
	first := 0
	for i, ld := range cargo {
		number := len(ld.of)
		switch o.results[i] {
		case published:
			o.stamp(i, first, ld.of)
			ld.tell(nil)
		case withoutRow:
			missing = append(missing, b.names[i])
			ld.again = true
		case heldByOther:
			ld.held = wait == 0 // else it has had its time, and is first tried without
			ld.again = true
		}
		first += number
	}
	if len(missing) > 0 {
		if err := e.send(func(ctx context.Context, conn *pgx.Conn) error { return e.makeTopics(ctx, conn, missing) }); err != nil {
			e.troubled(err)
			pause(e.life, 5)
		}
	}
}

// publishEvents sends a batch.
func (e *Engine) publishEvents(b *batch, wait time.Duration) (o outcomes, err error) {
	ids, marks := b.ids, b.marks
	if !slices.ContainsFunc(ids, func(id []byte) bool { return id != nil }) {
		ids, marks = nil, nil
	}
	err = e.send(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, e.sql(`SELECT results, epochs, moments, seqs, known, known_at
			FROM {schema}.publish_events($1::bytea[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::int[], $8::int[],
			$9::bytea[], $10::bigint[], $11::bytea[], $12::bytea[], $13::int[], $14::text[], $15::int)`),
			b.names, b.classes, b.sizes, b.ttls, b.channels, b.heads, b.counts, b.packs,
			ids, marks, b.keys, b.bodies, b.fits, b.texts, wait.Milliseconds()).
			Scan(&o.results, &o.epochs, &o.moments, &o.seqs, &o.known, &o.knownAt)
	})
	if err == nil && !o.fit(b, ids != nil) {
		err = finalError{fmt.Errorf("%d answers for %d topics", len(o.results), len(b.names))}
	}
	return o, err
}

// fit tells whether there is an outcome of each topic, and of each event where there
// are ids.
func (o *outcomes) fit(b *batch, ids bool) bool {
	n := len(b.names)
	return len(o.results) == n && len(o.epochs) == n && len(o.moments) == n && len(o.seqs) == n &&
		(!ids || len(o.known) == len(b.keys) && len(o.knownAt) == len(b.keys))
}

// makeTopics sees to it that topics have rows.
func (e *Engine) makeTopics(ctx context.Context, conn *pgx.Conn, names [][]byte) error {
	_, err := conn.Exec(ctx, e.sql("SELECT {schema}.make($1::bytea[])"), names)
	return err
}

// counter tells notifications apart that say the same: of those in one transaction
// the server would send one only.
var counter atomic.Uint64

// volatileHead is what notifications of a Volatile topic begin with.
func volatileHead(t engine.Topic) string {
	return head(t) + " - 0 " + strconv.FormatUint(counter.Add(1), 10) + " -"
}

// sendVolatile publishes to Volatile topics.
func (e *Engine) sendVolatile(cargo []*load) {
	var channels, heads, texts []string
	var bodies [][]byte
	for _, ld := range cargo {
		channel, begin := e.opts.channel(channelOf(ld.topic.Name)), head(ld.topic)
		room := 0
		for i, p := range ld.of {
			text, fits := inline(begin, p.body)
			if i > 0 && fits && len(text)+1 <= room {
				texts[len(texts)-1] += "," + text
				room -= len(text) + 1
				continue
			}
			channels = append(channels, channel)
			heads = append(heads, volatileHead(ld.topic))
			texts = append(texts, text)
			if room = 0; fits {
				room = notificationMost - len(begin) - headLength - len(text)
				bodies = append(bodies, nil)
			} else {
				bodies = append(bodies, p.body)
			}
		}
	}
	err := e.send(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, e.sql("SELECT {schema}.pass($1::text[], $2::text[], $3::text[], $4::bytea[])"), channels, heads, texts, bodies)
		return err
	})
	if err != nil {
		e.failed(cargo, err)
		return
	}
	for _, ld := range cargo {
		ld.tell(nil)
	}
}

// send runs one transaction.
func (e *Engine) send(f func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(e.life, sendTime)
	defer cancel()
	return e.try(ctx, f)
}

// failed tells who waits that there was an error, or lets what may be sent again
// wait a little longer: until nobody waits for it.
func (e *Engine) failed(cargo []*load, err error) {
	if e.life.Err() != nil {
		for _, ld := range cargo {
			ld.tell(engine.ErrClosed)
		}
		return
	}
	again := undone(err)
	if passes(err) {
		e.troubled(err)
	}
	for _, ld := range cargo {
		ofID := !slices.ContainsFunc(ld.of, func(p *publication) bool { return p.id == nil })
		if again || passes(err) && ofID && ld.topic.Class != engine.Volatile {
			ld.again = true
			continue
		}
		ld.tell(err)
	}
	if slices.ContainsFunc(cargo, func(ld *load) bool { return ld.again }) {
		pause(e.life, 4)
	}
}

// tell tells those who wait what has become of their publications.
func (ld *load) tell(err error) {
	for _, p := range ld.of {
		p.done <- err
	}
}
