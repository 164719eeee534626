package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// versionLen is how many bytes of a record are its version. Versions are drawn, so
// that none comes again, also where a server has lost the last ones.
const versionLen = 8

// errOverwritten is the error of Save when a first answer was lost, and another
// record is there at the second try: it may be of who has read the first.
var errOverwritten = errors.New("an answer was lost, and another record has come since")

// Load implements [engine.Store].
func (e *Engine) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	records, err := e.load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("redis: load: %w", err)
	}
	return records, nil
}

func (e *Engine) load(ctx context.Context, ids []string) ([]engine.Record, error) {
	records := make([]engine.Record, len(ids))
	send := func(client rueidis.Client) []rueidis.RedisResult {
		commands := make(rueidis.Commands, len(ids))
		for i, id := range ids {
			commands[i] = client.B().Get().Key(e.opts.recordKey(id)).Build()
		}
		return client.DoMulti(context.Background(), commands...)
	}
	take := func(results []rueidis.RedisResult) (err error) {
		for i := range results {
			if records[i], err = record(results[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(ids) == 0 {
		_, err := e.connected(ctx)
		return nil, err
	}
	return records, e.ask(ctx, true, send, take)
}

// record reads a record as it is kept.
func record(result rueidis.RedisResult) (engine.Record, error) {
	kept, err := result.AsBytes()
	if rueidis.IsRedisNil(err) {
		return engine.Record{}, nil
	}
	if err != nil {
		return engine.Record{}, err
	}
	if len(kept) < versionLen {
		return engine.Record{}, serverError("a record is of another form")
	}
	return engine.Record{Version: binary.BigEndian.Uint64(kept), Data: kept[versionLen:]}, nil
}

// Save implements [engine.Store].
func (e *Engine) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (saved uint64, err error) {
	for saved == 0 || saved == version {
		saved = rand.Uint64() //nolint:gosec // tells records apart, and is no secret
	}
	if err := e.save(ctx, id, data, version, saved, ttl); err != nil {
		return 0, fmt.Errorf("redis: save: %w", err)
	}
	return saved, nil
}

func (e *Engine) save(ctx context.Context, id string, data []byte, version, saved uint64, ttl time.Duration) error {
	former := ""
	if version != 0 {
		former = string(binary.BigEndian.AppendUint64(nil, version))
	}
	kept := append(binary.BigEndian.AppendUint64(make([]byte, 0, versionLen+len(data)), saved), data...)
	r := run{[]string{e.opts.recordKey(id)}, []string{former, rueidis.BinaryString(kept), lasting(ttl)}}
	unclear, conflict := false, false
	err := e.ask(ctx, true, saveScript.sender(r), func(results []rueidis.RedisResult) error {
		n, err := results[0].AsInt64()
		unclear = unclear || err != nil && !passes(err, false)
		conflict = err == nil && n == 0
		return err
	})
	switch {
	case err != nil:
		return err
	case conflict && unclear:
		return errOverwritten
	case conflict:
		return engine.ErrConflict
	}
	return nil
}

// Delete implements [engine.Store].
func (e *Engine) Delete(ctx context.Context, id string) (was engine.Record, err error) {
	// A second try could not tell what the first has deleted.
	err = e.ask(ctx, false, func(client rueidis.Client) []rueidis.RedisResult {
		return []rueidis.RedisResult{client.Do(context.Background(), client.B().Getdel().Key(e.opts.recordKey(id)).Build())}
	}, func(results []rueidis.RedisResult) (err error) {
		was, err = record(results[0])
		return err
	})
	if err != nil {
		return engine.Record{}, fmt.Errorf("redis: delete: %w", err)
	}
	return was, nil
}

// lasting is a time as scripts want it in which nothing is to end, and a little
// more: they know whole milliseconds only.
func lasting(ttl time.Duration) string { return millis(min(ttl, ttlMost) + 2*time.Millisecond) }
