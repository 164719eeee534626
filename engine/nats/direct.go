package nats

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	natsgo "github.com/nats-io/nats.go"
)

// get asks for messages of a stream. Any server that has a copy answers, and it
// need not have the last ones yet: see fresh.
type get struct {
	Seq       uint64   `json:"seq,omitempty"` // from here on
	LastFor   string   `json:"last_by_subj,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"` // the last of each subject
	UpToSeq   uint64   `json:"up_to_seq,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
}

// got is what is in a stream.
type got struct {
	stream   string
	messages []*natsgo.Msg
	pending  uint64 // others that follow
	upTo     uint64 // of MultiLast: the last sequence of the server that has answered, or UpToSeq
}

// caughtUp waits for a copy of the stream that has all that was seen here of it,
// and returns the stream's name.
func (e *Engine) caughtUp(ctx context.Context, s *stream) (string, error) {
	found, err := e.lastOf(ctx, s, nil, 0, nil)
	return found.stream, err
}

// get returns messages, none if there are none.
func (e *Engine) get(ctx context.Context, s *stream, g get) (got, error) {
	body, err := json.Marshal(g)
	if err != nil {
		return got{}, err
	}
	var backoff backoff
	for {
		name, err := e.known(ctx, s)
		if err != nil {
			return got{}, err
		}
		found, err := e.getOnce(ctx, name, body, g.LastFor == "")
		switch {
		case err == nil:
			return found, nil
		case ctx.Err() != nil || e.over():
			return got{}, err
		case errors.Is(err, errNobody):
			s.forget(name)
		case errors.Is(err, errLost), errors.Is(err, context.DeadlineExceeded):
		default:
			return got{}, err
		}
		if err := e.pause(ctx, &backoff); err != nil {
			return got{}, err
		}
	}
}

func (e *Engine) getOnce(ctx context.Context, name string, body []byte, many bool) (got, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var enough func([]*natsgo.Msg) bool
	if many { // the last has a status
		enough = func(answers []*natsgo.Msg) bool { return status(answers[len(answers)-1]) != "" }
	}
	answers, err := e.ask(ctx, outgoing{subject: "$JS.API.DIRECT.GET." + name, data: body}, enough)
	if err != nil {
		return got{}, err
	}
	found := got{stream: name, messages: answers}
	end := answers[len(answers)-1]
	switch status(end) {
	case "":
		return found, nil
	case "404":
		found.messages = nil
		return found, nil
	case "204":
		found.messages = answers[:len(answers)-1]
		found.pending, _ = strconv.ParseUint(first(end.Header, "Nats-Num-Pending"), 10, 64)
		found.upTo, _ = strconv.ParseUint(first(end.Header, "Nats-UpTo-Sequence"), 10, 64)
		return found, nil
	default:
		return got{}, errors.New("stream: " + status(end) + " " + first(end.Header, "Description"))
	}
}

func sequence(m *natsgo.Msg) uint64 {
	seq, _ := strconv.ParseUint(first(m.Header, natsgo.JSSequence), 10, 64)
	return seq
}

const (
	mostSubjects = 512     // of one question; the server answers with 1,024 messages at most
	mostBytes    = 4 << 20 // of one answer, about
)

// lastOf calls each for the last message of each subject, of those after the
// sequence. It includes all that was seen here of the stream before.
func (e *Engine) lastOf(ctx context.Context, s *stream, subjects []string, after uint64, each func(subject string, m *natsgo.Msg)) (got, error) {
	var backoff backoff
	check := e.names.check(s.retention)
	for {
		need := s.seen()
		g := get{MultiLast: append([]string{check}, subjects...), MaxBytes: mostBytes}
		found, err := e.get(ctx, s, g.from(after))
		if err != nil {
			return got{}, err
		}
		if found.upTo == 0 { // there is not even the check
			if err := e.mark(ctx, s); err != nil {
				return got{}, err
			}
			after = 0
			continue
		}
		if found.stream == need.stream && found.upTo < need.seq { // a copy that lags behind
			if err := e.pause(ctx, &backoff); err != nil {
				return got{}, err
			}
			continue
		}
		for part := found; ; {
			for _, m := range part.messages {
				if subject := first(m.Header, natsgo.JSSubject); subject != check {
					each(subject, m)
				}
			}
			if part.pending == 0 || len(part.messages) == 0 {
				return found, nil
			}
			g.UpToSeq = found.upTo
			if part, err = e.get(ctx, s, g.from(sequence(part.messages[len(part.messages)-1]))); err != nil {
				return got{}, err
			}
		}
	}
}

func (g get) from(after uint64) get {
	if after > 0 {
		g.Seq = after + 1
	}
	return g
}
