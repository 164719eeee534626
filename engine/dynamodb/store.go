package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava/engine"
)

// Store is an [engine.Store] that stands on DynamoDB. It has no goroutines of its own,
// and nothing that has to be closed.
type Store struct{ table table }

var _ engine.Store = (*Store)(nil)

// NewStore returns a store of a table, as [CreateTable] makes it. The name "" is
// "kanava". It touches no network.
//
// The client says how calls are signed and made again: DynamoDB refuses some when a
// table has more to do than it was meant for, and the client asks again, three times
// unless it is told otherwise, and never longer than the context of a method lasts.
func NewStore(client *dynamodb.Client, tableName string) (*Store, error) {
	t, err := newTable(client, tableName)
	if err != nil {
		return nil, fmt.Errorf("dynamodb: store: %w", err)
	}
	return &Store{t}, nil
}

// ErrTooLarge is the error of Save for a record that does not fit into an item of
// DynamoDB, which has 400 KB with its names. Nothing was written.
var ErrTooLarge = errors.New("the record is larger than an item of DynamoDB can be")

// recordMost is how long the data of a record may be: the rest of 400 KB is for the
// id, the names and the numbers.
const recordMost = 400<<10 - 2<<10

// The attributes of a record.
const (
	recordData    = "d"
	recordVersion = "v"
)

var errUnsure = errors.New("an attempt had no answer, and what has become of it is not known")

// Load implements [engine.Store].
func (s *Store) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	places := make(map[string][]int, len(ids)) // an id may be named twice, a key not
	var keys []item
	for i, id := range ids {
		if err := checkNames(id); err != nil {
			return nil, fmt.Errorf("dynamodb: load: %w", err)
		}
		if places[id] == nil {
			keys = append(keys, key(kindRecord+id, alone))
		}
		places[id] = append(places[id], i)
	}
	records := make([]engine.Record, len(ids))
	var mu sync.Mutex // guards records
	now := time.Now()
	err := s.table.getAll(ctx, keys, func(it item) error {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range places[string(bytesIn(it, partition)[len(kindRecord):])] {
			records[i] = recordOf(it, now)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dynamodb: load: %w", err)
	}
	return records, nil
}

// recordOf returns the record of an item, which may be none.
func recordOf(it item, now time.Time) engine.Record {
	if len(it) == 0 || ended(it, now) {
		return engine.Record{}
	}
	return engine.Record{Data: bytesIn(it, recordData), Version: uint64(numberIn(it, recordVersion))}
}

// Save implements [engine.Store]. A record over 398 KiB is refused with [ErrTooLarge].
func (s *Store) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	saved, err := s.save(ctx, id, data, version, ttl)
	if err != nil {
		return 0, fmt.Errorf("dynamodb: save: %w", err)
	}
	return saved, nil
}

func (s *Store) save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if err := checkNames(id); err != nil {
		return 0, err
	}
	if len(data) > recordMost {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), recordMost)
	}
	if data == nil {
		data = []byte{}
	}
	// Versions are drawn, and not counted: what was removed leaves no count behind.
	saved := 1 + rand.Uint64N(1<<63-1) //nolint:gosec // nobody gains by guessing it
	k, now := key(kindRecord+id, alone), time.Now()
	it := maps.Clone(k)
	it[recordData], it[recordVersion], it[ending] = binaryOf(data), numberOf(saved), numberOf(endOf(now.Add(bounded(ttl))))
	c := condition{"attribute_not_exists(pk) OR ends <= :now", item{":now": numberOf(now.Unix())}}
	if version != 0 {
		c = condition{recordVersion + " = :v AND ends > :now", item{":v": numberOf(version), ":now": numberOf(now.Unix())}}
	}
	out, err := s.table.put(ctx, it, c)
	switch {
	case err != nil:
		return 0, err
	case out.done:
		return saved, nil
	case !out.unsure:
		return 0, engine.ErrConflict
	}
	// The condition may have become false by an earlier attempt of this call.
	there, err := s.table.get(ctx, k)
	switch {
	case err != nil:
		return 0, err
	case uint64(numberIn(there, recordVersion)) == saved:
		return saved, nil
	}
	return 0, errUnsure
}

// Delete implements [engine.Store].
func (s *Store) Delete(ctx context.Context, id string) (engine.Record, error) {
	if err := checkNames(id); err != nil {
		return engine.Record{}, fmt.Errorf("dynamodb: delete: %w", err)
	}
	out, err := s.table.remove(ctx, key(kindRecord+id, alone))
	if err == nil && out.unsure && len(out.item) == 0 {
		err = errUnsure // an earlier attempt may have removed it
	}
	if err != nil {
		return engine.Record{}, fmt.Errorf("dynamodb: delete: %w", err)
	}
	return recordOf(out.item, time.Now()), nil
}
