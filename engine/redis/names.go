package redis

import (
	"strings"

	"github.com/kanava-go/kanava/engine"
)

// Names on the server: prefix, kind, and in braces what it is of, so that all
// keys of a topic are in one slot of a cluster. Another program's keys and
// channels are other ones, as long as its prefix is.

// keptKeys are the names of what is kept of a topic besides its position, as
// scripts want them.
func keptKeys(meta string, class engine.Class) []string {
	switch class {
	case engine.Recoverable:
		return []string{meta + ":s"}
	case engine.Latest:
		return []string{meta + ":k", meta + ":z"}
	}
	return nil
}

// topicKey names the position of a topic, and the channel by which its events
// come.
func (o *Options) topicKey(topic string) string { return o.Prefix + "{" + escape(topic) + "}" }

func idKey(meta, id string) string { return meta + ":i:" + id }

func (o *Options) groupKey(group string) string { return o.Prefix + "g{" + escape(group) + "}" }

func (o *Options) keepKey(key string) string { return o.Prefix + "k{" + escape(key) + "}" }

func (o *Options) recordKey(id string) string { return o.Prefix + "c{" + escape(id) + "}" }

func (o *Options) membersKey(group string) string { return o.Prefix + "m{" + escape(group) + "}" }

func (o *Options) ownersKey() string { return o.Prefix + "owners" }

// escape makes of any text one without spaces, control characters and braces,
// and of different ones different ones.
func escape(name string) string {
	n := 0
	for i := range len(name) {
		if !plain(name[i]) {
			n++
		}
	}
	if n == 0 {
		return name
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(name) + 2*n)
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func plain(c byte) bool { return c > ' ' && c < 0x7f && c != '{' && c != '}' && c != '%' }
