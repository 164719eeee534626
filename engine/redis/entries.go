package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	entriesMost  = 64            // of a group, that are read at once: they may have 64 KiB each
	groupTime    = 3 * time.Hour // how long a group is kept in which nothing happens
	groupTending = time.Hour     // how often engines see to it that something does
)

// Put implements [engine.Registry].
func (e *Engine) Put(ctx context.Context, en engine.Entry) error {
	if err := e.put(ctx, &en); err != nil {
		return fmt.Errorf("redis: put: %w", err)
	}
	return nil
}

func (e *Engine) put(ctx context.Context, en *engine.Entry) (err error) {
	lease, lasts := "", "0"
	if en.Lasts > 0 {
		lasts = millis(en.Lasts)
	} else if lease, err = e.leaseOf(ctx, en.Owner); err != nil {
		return err
	}
	e.said.put(en, lease != "")
	_, err = e.evalOne(ctx, putScript, []string{e.opts.groupKey(en.Group)},
		entryField(en.Member, en.Owner), lease, lasts, string(en.Value), millis(groupTime))
	return err
}

// entryField names an entry in its group.
func entryField(member, owner string) string {
	return string(binary.AppendUvarint(nil, uint64(len(member)))) + member + owner
}

// entry is one as it is kept.
type entry struct {
	engine.Entry

	field string
	lease string // "" if it has an end of its own
}

// parseEntry reads an entry.
func parseEntry(group, field, kept string) (en entry, ok bool) {
	const head = leaseLen + 6
	b := []byte(kept)
	if len(b) < head {
		return en, false
	}
	member, owner, ok := cutText([]byte(field))
	if !ok {
		return en, false
	}
	en = entry{field: field, Entry: engine.Entry{Group: group, Member: member, Owner: string(owner), Value: b[head:]}}
	if number(b[leaseLen:head]) == 0 {
		en.lease = kept[:leaseLen]
	}
	return en, true
}

// Entries implements [engine.Registry].
func (e *Engine) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return func(yield func(engine.Entry, error) bool) {
		var seen map[string]struct{} // fields; nil while there is one page
		for cursor := "0"; ; {
			entries, next, err := e.entriesFrom(ctx, group, cursor)
			if err != nil {
				yield(engine.Entry{}, fmt.Errorf("redis: entries: %w", err))
				return
			}
			if next != "0" && seen == nil {
				seen = make(map[string]struct{})
			}
			for i := range entries {
				if seen != nil {
					if _, ok := seen[entries[i].field]; ok {
						continue // the server may name it twice while it makes room
					}
					seen[entries[i].field] = struct{}{}
				}
				if !yield(entries[i].Entry, nil) {
					return
				}
			}
			if next == "0" {
				return
			}
			cursor = next
		}
	}
}

// entriesFrom returns some entries of a group, and where the next ones begin.
func (e *Engine) entriesFrom(ctx context.Context, group, cursor string) (entries []entry, next string, err error) {
	key := e.opts.groupKey(group)
	m, err := e.evalOne(ctx, entriesScript, []string{key}, cursor, strconv.Itoa(entriesMost), millis(groupTime))
	if err != nil {
		return nil, "", err
	}
	page, err := m.ToArray()
	if err == nil && len(page) < 2 {
		err = errShort
	}
	if err != nil {
		return nil, "", err
	}
	if next, err = page[0].ToString(); err != nil {
		return nil, "", err
	}
	fields, err := page[1].AsStrSlice()
	if err != nil {
		return nil, "", err
	}
	asked := make(map[string]struct{})
	var owners []string
	for i := 0; i+1 < len(fields); i += 2 {
		en, ok := parseEntry(group, fields[i], fields[i+1])
		if !ok {
			continue
		}
		entries = append(entries, en)
		if _, ok := asked[en.Owner]; en.lease != "" && !ok {
			asked[en.Owner] = struct{}{}
			owners = append(owners, en.Owner)
		}
	}
	// Leases are read after entries: no entry is older than its lease.
	names, err := e.leasesOf(ctx, owners)
	if err != nil {
		return nil, "", err
	}
	var ended []string
	alive := entries[:0]
	for _, en := range entries {
		if en.lease != "" && en.lease != names[en.Owner] {
			ended = append(ended, en.field, en.lease)
		} else {
			alive = append(alive, en)
		}
	}
	if len(ended) > 0 {
		if _, err := e.evalOne(ctx, pruneScript, []string{key}, ended...); err != nil {
			return nil, "", err
		}
	}
	return alive, next, nil
}

// tendEntries sees to it that groups are kept in which entries last as long as
// leases that are renewed here, and that what has ended in them goes.
func (e *Engine) tendEntries(ctx context.Context) {
	tick := time.NewTicker(groupTending)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for group := range e.said.groups() {
			e.tendGroup(ctx, group)
			if ctx.Err() != nil {
				return
			}
		}
	}
}

func (e *Engine) tendGroup(ctx context.Context, group string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, err := range e.Entries(ctx, group) {
		if err != nil {
			e.opts.Logger.Warn("redis: entries could not be tended", "error", err)
		}
	}
}
