package nats

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// The headers of a message of ours.
const (
	headerID     = "Nats-Msg-Id"
	headerExcept = "Kanava-Except"
	headerBinary = "Kanava-Binary"
	headerLease  = "Kanava-Lease"
	headerLasts  = "Kanava-Lasts"
)

// unsafeMark begins tokens that do not show the name as it is; no name that is
// shown has it.
const unsafeMark = "="

// token makes one token of a subject of a name, another one of each name. It
// shows names of letters, digits and -_:/@,+~ as they are.
func token(name string) string {
	if name != "" && plain(name) {
		return name
	}
	return unsafeMark + base64.RawURLEncoding.EncodeToString([]byte(name))
}

func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-_:/@,+~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// untoken undoes token.
func untoken(token string) (name string, ok bool) {
	coded, is := strings.CutPrefix(token, unsafeMark)
	if !is {
		return token, true
	}
	text, err := base64.RawURLEncoding.DecodeString(coded)
	return string(text), err == nil
}

// retention says what a stream keeps: there is a stream for each.
type retention string

const (
	ofLatest   retention = "latest"
	ofOrdered  retention = "ordered"
	ofRegistry retention = "registry"
)

func retentionOf(t engine.Topic) retention {
	switch t.Class {
	case engine.Latest:
		return ofLatest
	case engine.Recoverable:
		return retention(fmt.Sprintf("last%dof%dms", t.Size, t.TTL.Milliseconds()))
	default:
		return ofOrdered
	}
}

const (
	latestTime = 24 * time.Hour // how long events of a Latest topic are kept
	// positionTime is how long the last event of a topic stays in its stream, for
	// its position, when it is not to be read any more.
	positionTime = 25 * time.Hour
)

// names are the subjects of an engine.
type names string // the prefix

func (n names) live(topic string) string { return string(n) + ".live." + token(topic) }

// kept is the subject by which an event gets into a stream.
func (n names) kept(r retention, topic string) string {
	return string(n) + ".keep." + string(r) + "." + token(topic)
}

// check is a subject in each stream that is for asking how far it is.
func (n names) check(r retention) string { return string(n) + ".check." + string(r) }

func (n names) probe(id string) string { return string(n) + ".probe." + id }

// turn is the subject of whoever makes a stream, and turns the name of the stream
// that says who may.
func (n names) turn(r retention) string { return string(n) + ".turn." + string(r) }

func (n names) turns() string { return string(n) + "_turns" }

// nodes is what all engines are subscribed to.
func (n names) nodes() string { return string(n) + ".nodes" }

func (n names) lease(owner string) string { return string(n) + ".registry.lease." + token(owner) }

func (n names) entry(group, member, owner string) string {
	return string(n) + ".registry.entry." + token(group) + "." + token(member) + "." + token(owner)
}

func (n names) group(group string) string {
	return string(n) + ".registry.entry." + token(group) + ".*.*"
}

// entriesOf matches all entries of an owner.
func (n names) entriesOf(owner string) string {
	return string(n) + ".registry.entry.*.*." + token(owner)
}

func (n names) value(key string) string { return string(n) + ".registry.value." + token(key) }

// lastToken returns what a subject ends with.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
