package enginetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
)

const (
	groupBasics = "members of a group are those"
	groupNames  = "groups and members are any bytes"
	largeGroup  = "all who stay in a large group"
	membersStop = "who stops in the middle of Members"
)

func same(name string) string { return name }

// odd are ways in which names are not kept as they are.
var odd = []struct {
	name string
	make func(string) string
}{
	{"are in lower case", strings.ToLower},
	{"are without spaces around them", func(s string) string { return strings.TrimRight(strings.TrimSpace(s), "\x00") }},
	{"are text", func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }},
	{"have 511 bytes at most", func(s string) string { return s[:min(len(s), 511)] }},
	{"end with a zero byte", func(s string) string {
		before, _, _ := strings.Cut(s, "\x00")
		return before
	}},
}

// oddNames are mutants that take names of one kind for others.
func oddNames(of, found string, bend func(b *bentStore, change func(string) string)) (all []storeMutant) {
	for _, o := range odd {
		all = append(all, storeMutant{name: of + " " + o.name, found: []string{found}, bend: func(_ *storeWorld, b *bentStore) { bend(b, o.make) }})
	}
	return all
}

// Mutants that keep groups wrongly, or take names for others.
var groupMutants = slices.Concat(
	oddNames("ids", recordIDs, func(b *bentStore, change func(string) string) { b.rename(change, same, same, same) }),
	oddNames("groups", groupNames, func(b *bentStore, change func(string) string) { b.rename(same, change, same, same) }),
	oddNames("members", groupNames, func(b *bentStore, change func(string) string) { b.rename(same, same, change, same) }),
	oddNames("members that are returned", groupNames, func(b *bentStore, change func(string) string) { b.rename(same, same, same, change) }),
	[]storeMutant{
		{name: "groups are one", found: []string{groupBasics, groupNames, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.rename(same, func(string) string { return "all" }, same, same)
		}},
		{name: "group and member are one name", found: []string{groupNames}, bend: func(_ *storeWorld, b *bentStore) {
			b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
				return b.Store.Join(ctx, "all", group+":"+member, ttl)
			}
			b.leave = func(ctx context.Context, group, member string) error {
				return b.Store.Leave(ctx, "all", group+":"+member)
			}
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					for m, err := range b.Store.Members(ctx, "all") {
						member, ok := strings.CutPrefix(m, group+":")
						if (ok || err != nil) && !yield(member, err) {
							return
						}
					}
				}
			}
		}},
		{name: "Leave does nothing", found: []string{groupBasics, groupNames, membersStop, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.leave = func(context.Context, string, string) error { return nil }
		}},
		{name: "Leave of who is not there is an error", found: []string{groupBasics, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.leave = func(ctx context.Context, group, member string) error {
				for m := range b.Store.Members(ctx, group) {
					if m == member {
						return b.Store.Leave(ctx, group, member)
					}
				}
				return errors.New("not there")
			}
		}},
		{name: "Leave ends the group", found: []string{groupBasics, groupNames, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.leave = func(ctx context.Context, group, _ string) error {
				for m := range b.Store.Members(ctx, group) {
					_ = b.Store.Leave(ctx, group, m)
				}
				return nil
			}
		}},
		{name: "Join takes the place of other members", found: []string{groupBasics, largeGroup, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
				for m := range b.Store.Members(ctx, group) {
					_ = b.Store.Leave(ctx, group, m)
				}
				return b.Store.Join(ctx, group, member, ttl)
			}
		}},
		{name: "records and groups have the same names", found: []string{groupBasics}, bend: func(_ *storeWorld, b *bentStore) {
			b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
				for m := range b.Store.Members(ctx, id) {
					_ = b.Store.Leave(ctx, id, m)
				}
				return b.Store.Save(ctx, id, data, version, ttl)
			}
		}},
		{name: "each process has groups of its own", found: []string{groupBasics, groupNames, largeGroup, storeModelName}, bend: func(w *storeWorld, b *bentStore) {
			number := remembered(w, "number", new(int))
			*number++
			mine := strings.Repeat("x", *number)
			b.rename(same, func(group string) string { return mine + group }, same, same)
		}},
		{name: "Members returns members twice", found: []string{groupBasics, largeGroup, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
			b.onMembers(func(_ string, all []string) []string { return append(all, all...) })
		}},
		{name: "Members returns a thousand", found: []string{largeGroup}, bend: func(_ *storeWorld, b *bentStore) {
			b.onMembers(func(_ string, all []string) []string { return all[:min(len(all), 1000)] })
		}},
		{name: "Members goes on at a number", found: []string{largeGroup}, bend: func(_ *storeWorld, b *bentStore) {
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					seen := make(map[string]bool)
					for from := 0; ; from += 1000 {
						var all []string
						for m := range b.Store.Members(ctx, group) {
							all = append(all, m)
						}
						slices.Sort(all)
						page := all[min(from, len(all)):min(from+1000, len(all))]
						for _, m := range page {
							if !seen[m] && !yield(m, nil) {
								return
							}
							seen[m] = true
						}
						if len(page) == 0 {
							return
						}
					}
				}
			}
		}},
		{name: "who joins again while others go through the members comes twice", found: []string{largeGroup}, bend: func(w *storeWorld, b *bentStore) {
			again := remembered(w, "again", make(map[string][]string))
			b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
				w.mu.Lock()
				again[group] = append(again[group], member)
				w.mu.Unlock()
				return b.Store.Join(ctx, group, member, ttl)
			}
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					w.mu.Lock()
					from := len(again[group])
					w.mu.Unlock()
					for m, err := range b.Store.Members(ctx, group) {
						if !yield(m, err) {
							return
						}
					}
					w.mu.Lock()
					joined := slices.Clone(again[group][from:])
					w.mu.Unlock()
					for _, m := range joined {
						if !yield(m, nil) {
							return
						}
					}
				}
			}
		}},
		{name: "a loop that is left keeps its connection", found: []string{membersStop}, bend: func(_ *storeWorld, b *bentStore) {
			used := 0
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					if used++; used > 8 {
						yield("", errors.New("no connection"))
						return
					}
					for m, err := range b.Store.Members(ctx, group) {
						if !yield(m, err) {
							return
						}
					}
					used--
				}
			}
		}},
		{name: "Members can be gone through once", found: []string{membersStop}, bend: func(_ *storeWorld, b *bentStore) {
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				over := false
				return func(yield func(string, error) bool) {
					if !over {
						over = true
						b.Store.Members(ctx, group)(yield)
					}
				}
			}
		}},
		{name: "members cannot be changed by who goes through them", found: []string{largeGroup}, bend: func(_ *storeWorld, b *bentStore) {
			going := false
			b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					going = true
					defer func() { going = false }()
					b.Store.Members(ctx, group)(yield)
				}
			}
			b.leave = func(ctx context.Context, group, member string) error {
				if going {
					return errors.New("it is locked")
				}
				return b.Store.Leave(ctx, group, member)
			}
		}},
	},
)
