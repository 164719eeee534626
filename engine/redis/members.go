package redis

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// membersMost is how many members are read at once, about: they may have 512 bytes
// each.
const membersMost = 1000

// Join implements [engine.Store].
func (e *Engine) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	if _, err := e.evalOne(ctx, joinScript, []string{e.opts.membersKey(group)}, member, lasting(ttl)); err != nil {
		return fmt.Errorf("redis: join: %w", err)
	}
	return nil
}

// Leave implements [engine.Store].
func (e *Engine) Leave(ctx context.Context, group, member string) error {
	err := e.ask(ctx, true, func(client rueidis.Client) []rueidis.RedisResult {
		return []rueidis.RedisResult{client.Do(context.Background(), client.B().Zrem().Key(e.opts.membersKey(group)).Member(member).Build())}
	}, func(results []rueidis.RedisResult) error { return results[0].Error() })
	if err != nil {
		return fmt.Errorf("redis: leave: %w", err)
	}
	return nil
}

// Members implements [engine.Store].
func (e *Engine) Members(ctx context.Context, group string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var seen map[string]struct{} // nil while there is one page
		for page := (memberPage{next: "0"}); ; {
			if err := e.nextMembers(ctx, group, &page); err != nil {
				yield("", fmt.Errorf("redis: members: %w", err))
				return
			}
			if page.next != "0" && seen == nil {
				seen = make(map[string]struct{})
			}
			for _, member := range page.members {
				if seen != nil {
					if _, ok := seen[member]; ok {
						continue // the server may name it twice while it makes room
					}
					seen[member] = struct{}{}
				}
				if !yield(member, nil) {
					return
				}
			}
			if page.next == "0" {
				return
			}
		}
	}
}

// memberPage is some members of a group.
type memberPage struct {
	members      []string
	next, server string // where others begin, as this server counts
}

// nextMembers turns to the next page of a group.
func (e *Engine) nextMembers(ctx context.Context, group string, page *memberPage) error {
	m, err := e.evalOne(ctx, membersScript, []string{e.opts.membersKey(group)}, page.next, page.server, strconv.Itoa(membersMost))
	if err != nil {
		return err
	}
	parts, err := m.ToArray()
	if err == nil && len(parts) < 3 {
		err = errShort
	}
	if err != nil {
		return err
	}
	if page.next, err = parts[0].ToString(); err != nil {
		return err
	}
	if page.server, err = parts[1].ToString(); err != nil {
		return err
	}
	page.members, err = parts[2].AsStrSlice()
	return err
}
