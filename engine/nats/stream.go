package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// stream is the server's stream of all topics with one retention.
//
// Its name ends with its epoch: whoever makes it chooses that, and what comes
// out of it bears its name. Subjects cannot belong to two streams, so of those
// who make it at once one succeeds, and the others find it; see takeTurn.
type stream struct {
	retention retention
	finding   chan struct{} // holds a token while somebody finds or makes the stream

	mu      sync.Mutex // guards what follows
	name    string     // "": not known
	last    uint64     // the highest sequence that was seen in the stream of that name
	current *round     // of confirmations, under way
	next    *round     // of those who have asked since it began
}

// stream returns that of a retention. It touches no network.
func (e *Engine) stream(r retention) *stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.streams[r]
	if s == nil {
		s = &stream{retention: r, finding: make(chan struct{}, 1)}
		e.streams[r] = s
	}
	return s
}

// allStreams returns those that have been used.
func (e *Engine) allStreams() []*stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*stream, 0, len(e.streams))
	for _, s := range e.streams {
		all = append(all, s)
	}
	return all
}

// epochIn returns the epoch in the name of a stream.
func epochIn(name string) string { return name[strings.LastIndexByte(name, '_')+1:] }

// retentionIn returns the retention in it.
func retentionIn(name string) retention {
	name = name[:max(0, strings.LastIndexByte(name, '_'))]
	return retention(name[strings.LastIndexByte(name, '_')+1:])
}

// newEpoch returns one that nobody has had, the later the greater.
func newEpoch() string {
	now := strconv.FormatInt(time.Now().UnixMilli(), 36)
	return strings.ToLower(now + rand.Text())[:16]
}

// seen returns how far the stream was.
func (s *stream) seen() engineAt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return engineAt{s.name, s.last}
}

// engineAt is a place in a stream.
type engineAt struct {
	stream string
	seq    uint64
}

// saw notes a message that was stored in the stream.
func (s *stream) saw(name string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sawLocked(name, seq)
}

func (s *stream) sawLocked(name string, seq uint64) {
	switch name {
	case s.name:
		s.last = max(s.last, seq)
	default:
		s.name, s.last = "", 0 // to be found: this may be a late message of a former one
	}
}

// stored notes that a message has been stored, which was sent when the stream
// was at before, and tells whether the stream has lost messages: what is stored
// has a higher sequence than what was.
func (s *stream) stored(a ack, before engineAt) (lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == "" {
		s.name = a.Stream
	}
	s.sawLocked(a.Stream, a.Seq)
	return a.Stream == before.stream && a.Seq <= before.seq
}

// forget has the stream found again.
func (s *stream) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == name {
		s.name, s.last = "", 0
	}
}

// known returns the name of the stream, and finds or makes the stream if need be.
func (e *Engine) known(ctx context.Context, s *stream) (string, error) {
	if at := s.seen(); at.stream != "" {
		return at.stream, nil
	}
	if err := e.ensure(ctx, s); err != nil {
		return "", err
	}
	return s.seen().stream, nil
}

// ensure finds the stream, or makes it.
func (e *Engine) ensure(ctx context.Context, s *stream) error {
	select {
	case s.finding <- struct{}{}:
		defer func() { <-s.finding }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var backoff backoff
	for {
		name, err := e.findOrMake(ctx, s.retention)
		if err == nil {
			s.mu.Lock()
			if s.name != name {
				s.name, s.last = name, 0
			}
			s.mu.Unlock()
			return nil
		}
		if final(err) || ctx.Err() != nil || e.over() {
			return err
		}
		if paused := e.pause(ctx, &backoff); paused != nil {
			return fmt.Errorf("%w: %w", paused, err)
		}
	}
}

// The errors of JetStream that tell what to do.
const (
	codeOverlap     = 10065 // of subjects, with another stream
	codeNotFound    = 10059 // a stream
	codeWrongLast   = 10071 // sequence, which the description has
	codeWrongLastOf = 10164 // the same, of a subject
	codeInProcess   = 10158 // a message with this id has been taken, and is not stored yet
	codeNotReady    = 10163 // to compare the last sequence of a subject
	codeNotAvail    = 10008 // the cluster has no leader
	codeNoPeers     = 10005 // not enough servers have been heard of
)

// transient tells whether a message was not stored now, and may be in a moment.
func transient(err error) bool {
	api := (*apiError)(nil)
	return errors.As(err, &api) && slices.Contains([]int{codeInProcess, codeNotReady, codeNotAvail}, api.ErrCode)
}

// final tells whether there is no sense in trying again.
func final(err error) bool {
	api := (*apiError)(nil)
	// 503 and 500 are what a cluster says that has no leader yet, or not enough servers.
	return errors.As(err, &api) && api.Code < 500 && api.ErrCode != codeOverlap && api.ErrCode != codeNoPeers
}

func (e *Engine) findOrMake(ctx context.Context, r retention) (string, error) {
	find := func() (string, error) {
		var found struct {
			Streams []string `json:"streams"`
		}
		err := e.api(ctx, "STREAM.NAMES", map[string]string{"subject": e.names.check(r)}, &found)
		if err != nil || len(found.Streams) == 0 {
			return "", err
		}
		return found.Streams[0], nil
	}
	if name, err := find(); name != "" || err != nil {
		return name, err
	}
	if e.link.alone() {
		if err := e.takeTurn(ctx, r); err != nil {
			return "", err
		}
		defer e.endTurn(r)
		if name, err := find(); name != "" || err != nil {
			return name, err
		}
	}
	c := e.config(r)
	if err := e.api(ctx, "STREAM.CREATE."+c.Name, c, nil); err != nil {
		return "", err
	}
	return c.Name, nil
}

// config says what a stream keeps, and for how long.
func (e *Engine) config(r retention) natsgo.StreamConfig {
	c := natsgo.StreamConfig{
		Name:              string(e.names) + "_" + string(r) + "_" + newEpoch(),
		Description:       "Kanava: see the package engine/nats",
		Subjects:          []string{"", e.names.check(r)},
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		MaxMsgsPerSubject: 1,
		Storage:           natsgo.FileStorage,
		Replicas:          e.keep.Replicas,
		Duplicates:        2 * time.Minute,
		AllowDirect:       true,
	}
	if e.keep.InMemory {
		c.Storage = natsgo.MemoryStorage
	}
	all := string(e.names) + ".keep." + string(r) + ".*"
	c.Subjects[0] = all
	live := &natsgo.RePublish{Source: all, Destination: string(e.names) + ".live.{{wildcard(1)}}"}
	switch r {
	case ofRegistry:
		c.Subjects[0] = string(e.names) + ".registry.>"
		c.AllowMsgTTL = true
		return c
	case ofLatest:
		c.Subjects[0] += ".*"
		live.Source += ".*"
		c.MaxAge = latestTime + positionTime
	case ofOrdered:
		c.MaxAge = positionTime
	default:
		size, ttl := r.parse()
		c.MaxMsgsPerSubject = int64(size) + 1 // see read
		c.MaxAge = ttl + positionTime
	}
	c.RePublish = live
	return c
}

// parse returns what is kept of a Recoverable topic.
func (r retention) parse() (size int, ttl time.Duration) {
	var ms int64
	if _, err := fmt.Sscanf(string(r), "last%dof%dms", &size, &ms); err != nil {
		return 0, 0
	}
	return size, time.Duration(ms) * time.Millisecond
}

// api calls JetStream's.
func (e *Engine) api(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience) // a cluster without a leader does not answer
	defer cancel()
	answers, err := e.ask(ctx, outgoing{subject: "$JS.API." + method, data: body}, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	var failed struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(answers[0].Data, &failed); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if failed.Error != nil {
		return fmt.Errorf("%s: %w", method, failed.Error)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answers[0].Data, out)
}

// renewEpoch ends a stream that has lost messages: its sequences are given a
// second time. The next who needs it makes another.
func (e *Engine) renewEpoch(s *stream, a ack) {
	e.log.Error("nats: a stream has lost messages, and another begins", "stream", a.Stream, "at", a.Seq)
	e.spawn(func() {
		ctx, cancel := e.lifetime(10 * time.Second)
		defer cancel()
		err := e.api(ctx, "STREAM.DELETE."+a.Stream, struct{}{}, nil)
		api := (*apiError)(nil)
		if gone := errors.As(err, &api) && api.ErrCode == codeNotFound; err != nil && !gone { // another node was faster
			e.log.Error("nats: cannot delete a stream that has lost messages", "stream", a.Stream, "error", err)
		}
		s.forget(a.Stream)
		e.resumed()
	})
}

// lifetime returns a context that ends with the engine, at the latest after d.
func (e *Engine) lifetime(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	go func() { // ends with ctx
		select {
		case <-e.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
