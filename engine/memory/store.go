package memory

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Store keeps connections in the memory of this process: for tests, and for a
// gateway that has one process behind it. It is an [engine.Store]. It needs no
// end: nothing of it runs by itself. What has ended is let go of within a minute,
// if anything is written then. Methods never wait, and fail only with a context
// that has ended.
type Store struct {
	mu       sync.Mutex                      // guards what follows
	records  map[string]record               // by id
	groups   map[string]map[string]time.Time // by group and member: when it ends
	versions uint64                          // the last one, of all records
	sweep    time.Time                       // when what has ended is looked for again
}

// record is one that ends.
type record struct {
	engine.Record

	until time.Time
}

var _ engine.Store = (*Store)(nil)

// NewStore returns a store in which nothing is kept.
func NewStore() *Store {
	return &Store{records: make(map[string]record), groups: make(map[string]map[string]time.Time)}
}

// do runs f for a method, with mu held.
func (s *Store) do(ctx context.Context, verb string, f func(now time.Time) error) error {
	err := ctx.Err()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		err = f(time.Now())
	}
	if err != nil {
		return fmt.Errorf("memory: %s: %w", verb, err)
	}
	return nil
}

// write is do for what adds something: it makes room for that.
func (s *Store) write(ctx context.Context, verb string, f func(now time.Time) error) error {
	return s.do(ctx, verb, func(now time.Time) error {
		if !now.Before(s.sweep) {
			s.expire(now)
			s.sweep = now.Add(sweepTime)
		}
		return f(now)
	})
}

// expire lets go of what has ended.
func (s *Store) expire(now time.Time) {
	for id, r := range s.records {
		if !now.Before(r.until) {
			delete(s.records, id)
		}
	}
	for group, members := range s.groups {
		for member, until := range members {
			if !now.Before(until) {
				delete(members, member)
			}
		}
		if len(members) == 0 {
			delete(s.groups, group)
		}
	}
}

// record returns what is kept of a connection, the zero Record for nothing.
func (s *Store) record(id string, now time.Time) engine.Record {
	if r := s.records[id]; now.Before(r.until) {
		return r.Record
	}
	return engine.Record{}
}

// Load implements [engine.Store].
func (s *Store) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	records := make([]engine.Record, len(ids))
	err := s.do(ctx, "load", func(now time.Time) error {
		for i, id := range ids {
			records[i] = s.record(id, now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range records {
		records[i].Data = bytes.Clone(records[i].Data)
	}
	return records, nil
}

// Save implements [engine.Store].
func (s *Store) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (saved uint64, err error) {
	data = bytes.Clone(data)
	err = s.write(ctx, "save", func(now time.Time) error {
		if s.record(id, now).Version != version {
			return engine.ErrConflict
		}
		s.versions++
		saved = s.versions
		s.records[id] = record{engine.Record{Data: data, Version: saved}, now.Add(ttl)}
		return nil
	})
	return saved, err
}

// Delete implements [engine.Store].
func (s *Store) Delete(ctx context.Context, id string) (was engine.Record, err error) {
	err = s.do(ctx, "delete", func(now time.Time) error {
		was = s.record(id, now)
		delete(s.records, id)
		return nil
	})
	return was, err
}

// Join implements [engine.Store].
func (s *Store) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	return s.write(ctx, "join", func(now time.Time) error {
		members := s.groups[group]
		if members == nil {
			members = make(map[string]time.Time)
			s.groups[group] = members
		}
		if until := now.Add(ttl); until.After(members[member]) {
			members[member] = until
		}
		return nil
	})
}

// Leave implements [engine.Store].
func (s *Store) Leave(ctx context.Context, group, member string) error {
	return s.do(ctx, "leave", func(time.Time) error {
		members := s.groups[group]
		if delete(members, member); len(members) == 0 {
			delete(s.groups, group)
		}
		return nil
	})
}

// Members implements [engine.Store]. It returns those of the moment in which it
// begins.
func (s *Store) Members(ctx context.Context, group string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var all []string
		err := s.do(ctx, "members", func(now time.Time) error {
			for member, until := range s.groups[group] {
				if now.Before(until) {
					all = append(all, member)
				}
			}
			return nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, member := range all {
			if !yield(member, nil) {
				return
			}
		}
	}
}
