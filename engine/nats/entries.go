package nats

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// Put implements [engine.Registry].
func (e *Engine) Put(ctx context.Context, en engine.Entry) error {
	if err := e.put(ctx, en); err != nil {
		return fmt.Errorf("nats: put: %w", err)
	}
	return nil
}

func (e *Engine) put(ctx context.Context, en engine.Entry) error {
	s := e.stream(ofRegistry)
	m := outgoing{subject: e.names.entry(en.Group, en.Member, en.Owner), data: bytes.Clone(en.Value)}
	if en.Lasts > 0 {
		m.lasts(en.Lasts)
		m.letGo(en.Lasts)
	} else {
		now, err := e.now(ctx, s)
		if err != nil {
			return err
		}
		l, ok := e.owners.get(en.Owner, now)
		if !ok {
			var found bool
			if l, found, err = e.leaseOf(ctx, s, en.Owner); err != nil {
				return err
			}
			ok = found && now.Before(l.until)
		}
		if !ok {
			l.id = "none"
			m.letGo(0)
		}
		m.setHeader(headerLease, l.id)
	}
	return e.store(ctx, s, m)
}

// Entries implements [engine.Registry].
func (e *Engine) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return func(yield func(engine.Entry, error) bool) {
		if err := e.entries(ctx, group, func(en engine.Entry) bool { return yield(en, nil) }); err != nil {
			yield(engine.Entry{}, fmt.Errorf("nats: entries: %w", err))
		}
	}
}

func (e *Engine) entries(ctx context.Context, group string, yield func(engine.Entry) bool) error {
	s := e.stream(ofRegistry)
	leases, err := e.leases(ctx, s)
	if err != nil {
		return err
	}
	now, err := e.now(ctx, s)
	if err != nil {
		return err
	}
	told := make(map[string]bool) // by subject: what is put while this runs comes again
	for m, err := range e.all(ctx, s, e.names.group(group)) {
		if err != nil {
			return err
		}
		subject := first(m.Header, natsgo.JSSubject)
		en, ok := entryIn(subject, group)
		if !ok || told[subject] {
			continue
		}
		en.Value = m.Data
		ended, err := e.ended(ctx, s, m, en.Owner, leases, now)
		if err != nil {
			return err
		}
		if ended {
			continue
		}
		told[subject] = true
		if !yield(en) {
			return nil
		}
	}
	return nil
}

// ended tells whether an entry has. Leases has those of owners as they were at now.
func (e *Engine) ended(ctx context.Context, s *stream, m *natsgo.Msg, owner string, leases map[string]lease, now time.Time) (bool, error) {
	id := first(m.Header, headerLease)
	if id == "" {
		l, err := leaseIn(m)
		return err != nil || !now.Before(l.until), nil //nolint:nilerr // what is not of ours is no entry
	}
	l := leases[owner]
	if l.id != id && sequence(m) > l.seq && id != "none" { // of an owner who has come meanwhile
		var err error
		if l, _, err = e.leaseOf(ctx, s, owner); err != nil {
			return false, err
		}
		leases[owner] = l
	}
	return l.id != id || !now.Before(l.until), nil
}

// entryIn undoes names.entry.
func entryIn(subject, group string) (engine.Entry, bool) {
	owner := lastToken(subject)
	rest := strings.TrimSuffix(subject, "."+owner)
	member, ok := untoken(lastToken(rest))
	if !ok {
		return engine.Entry{}, false
	}
	owner, ok = untoken(owner)
	return engine.Entry{Group: group, Member: member, Owner: owner}, ok
}

// all goes through the messages of a subject with wildcards, page by page. One
// that is stored meanwhile in the place of another may come again.
func (e *Engine) all(ctx context.Context, s *stream, subject string) iter.Seq2[*natsgo.Msg, error] {
	const most = 1024 // of one question
	return func(yield func(*natsgo.Msg, error) bool) {
		name, err := e.caughtUp(ctx, s)
		if err != nil {
			yield(nil, err)
			return
		}
		for next := uint64(1); ; {
			found, err := e.get(ctx, s, get{NextFor: subject, Seq: next, Batch: most, MaxBytes: pageBytes})
			if err == nil && found.stream != name {
				err = errBehind
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, m := range found.messages {
				next = sequence(m) + 1
				if !yield(m, nil) {
					return
				}
			}
			if found.pending == 0 {
				return
			}
		}
	}
}
