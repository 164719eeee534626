package dynamodb

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Join implements [engine.Store].
func (s *Store) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	if err := checkNames(group, member); err != nil {
		return fmt.Errorf("dynamodb: join: %w", err)
	}
	it := key(kindGroup+group, member)
	end := numberOf(endOf(time.Now().Add(bounded(ttl))))
	it[ending] = end
	// Where it is false the member stays for longer already.
	if _, err := s.table.put(ctx, it, condition{"attribute_not_exists(pk) OR ends < :end", item{":end": end}}); err != nil {
		return fmt.Errorf("dynamodb: join: %w", err)
	}
	return nil
}

// Leave implements [engine.Store].
func (s *Store) Leave(ctx context.Context, group, member string) error {
	if err := checkNames(group, member); err != nil {
		return fmt.Errorf("dynamodb: leave: %w", err)
	}
	if _, err := s.table.remove(ctx, key(kindGroup+group, member)); err != nil {
		return fmt.Errorf("dynamodb: leave: %w", err)
	}
	return nil
}

// Members implements [engine.Store]. It reads the group in pages of 1 MB, which is
// some thousand members.
func (s *Store) Members(ctx context.Context, group string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := checkNames(group); err != nil {
			yield("", fmt.Errorf("dynamodb: members: %w", err))
			return
		}
		for it, err := range s.table.query(ctx, kindGroup+group, nil, 0) {
			if err != nil {
				yield("", fmt.Errorf("dynamodb: members: %w", err))
				return
			}
			if !ended(it, time.Now()) && !yield(string(bytesIn(it, sorting)), nil) {
				return
			}
		}
	}
}
