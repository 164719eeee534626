package postgres

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// channels is how many channels the events of all topics come by: a node listens
// to those that its topics have.
const channels = 64

// channelOf returns the number of the channel of a topic.
func channelOf(topic string) int {
	sum := sha256.Sum256([]byte(topic))
	return int(sum[0]) % channels
}

// channel names a channel of topics.
func (o *Options) channel(n int) string { return o.Schema + "_" + strconv.Itoa(n) }

// probeChannel names the channel that an engine probes itself by.
func (o *Options) probeChannel(id string) string { return o.Schema + "_p_" + id }

// text64 is how bytes stand in a notification.
var text64 = base64.RawURLEncoding

// idDigest is what stands for the id of a publication.
func idDigest(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:16]
}
