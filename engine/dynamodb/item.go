package dynamodb

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is an item, a key or a part of one.
type item = map[string]types.AttributeValue

// The attributes that all items have.
const (
	partition = "pk"
	sorting   = "sk"
	ending    = "ends" // when DynamoDB may remove it, in seconds since 1970
)

// alone is the sort key where a partition has one item.
const alone = "-"

// Kinds of partitions. The name of what it is of follows.
const (
	kindRecord = "r#" // of a store
	kindGroup  = "g#"

	kindTopic  = "t#" // the head of a topic
	kindLog    = "e#" // its last events
	kindLatest = "k#" // the newest of each key
	kindBody   = "b#" // what is too long to stand there
	kindID     = "i#" // publications with an ID
	kindLeases = "o"
	kindEntry  = "n#" // entries of a group
	kindKept   = "v#"
)

// key returns the key of an item.
func key(part, sort string) item {
	return item{partition: binaryOf([]byte(part)), sorting: binaryOf([]byte(sort))}
}

func binaryOf(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func numberOf[N int64 | uint64](n N) types.AttributeValue {
	if n < 0 {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
	}
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(uint64(n), 10)}
}

// bytesIn returns a binary attribute, nil if there is none.
func bytesIn(it item, name string) []byte {
	if b, ok := it[name].(*types.AttributeValueMemberB); ok {
		return b.Value
	}
	return nil
}

// numberIn returns a number, 0 if there is none.
func numberIn(it item, name string) int64 {
	n, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// endOf is the second by which what lasts until a time may be removed.
func endOf(t time.Time) int64 { return t.Unix() + 1 }

// ended tells whether an item is there only because DynamoDB is late.
func ended(it item, now time.Time) bool { return numberIn(it, ending) <= now.Unix() }

// ttlMost bounds how long anything is kept, so that times can be added.
const ttlMost = 10 * 365 * 24 * time.Hour

func bounded(ttl time.Duration) time.Duration { return min(max(ttl, 0), ttlMost) }

// digest stands for several names where they may be too long for a key.
func digest(names ...string) []byte {
	h := sha256.New()
	for _, n := range names {
		h.Write(binary.AppendUvarint(nil, uint64(len(n))))
		h.Write([]byte(n))
	}
	return h.Sum(nil)
}

var errName = errors.New("a name has to have 1 to 512 bytes")

// checkNames refuses what cannot be in a key.
func checkNames(names ...string) error {
	for _, n := range names {
		if n == "" || len(n) > 512 {
			return errName
		}
	}
	return nil
}
