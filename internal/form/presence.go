package form

import (
	"slices"
	"strconv"
)

// This file writes what kanava.v1 tells of presences (docs/protocol.md D12). A
// frame is AppendPresence around one of three bodies; the page that a client
// has asked for is AppendPresencePage around the first.

// AppendMember appends one member.
func AppendMember(dst []byte, id string, n int, data []byte) []byte {
	dst = appendString(append(dst, `{"id":`...), id)
	dst = strconv.AppendInt(append(dst, `,"n":`...), int64(n), 10)
	dst = append(append(dst, `,"data":`...), data...)
	return append(dst, '}')
}

// AppendAll appends the body that tells all members, as AppendMember has
// written them.
func AppendAll(dst []byte, members [][]byte, count int) []byte {
	dst = appendMembers(append(dst, `"all":`...), members)
	return AppendCount(append(dst, ','), count)
}

// AppendChange appends the body that tells a difference: who has joined or has
// other data or connections than before, and the ids of who has left.
func AppendChange(dst []byte, join [][]byte, leave []string, count int) []byte {
	dst = appendMembers(append(dst, `"join":`...), join)
	dst = append(dst, `,"leave":[`...)
	for i, id := range leave {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, id)
	}
	return AppendCount(append(dst, ']', ','), count)
}

// AppendCount appends the body that tells the number of members only.
func AppendCount(dst []byte, count int) []byte {
	return strconv.AppendInt(append(dst, `"count":`...), int64(count), 10)
}

func appendMembers(dst []byte, members [][]byte) []byte {
	dst = append(dst, '[')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m...)
	}
	return append(dst, ']')
}

// AppendPresence appends what a subscriber is told; v counts these frames.
func AppendPresence(dst []byte, topic string, v uint64, body []byte) []byte {
	dst = slices.Grow(dst, len(topic)+len(body)+48)
	dst = appendString(append(dst, `{"presence":`...), topic)
	dst = strconv.AppendUint(append(dst, `,"v":`...), v, 10)
	return append(append(append(dst, ','), body...), '}')
}

// AppendPresencePage appends the answer to the request with this id: a body of
// AppendAll, and the id of the last member if there are more.
func AppendPresencePage(dst []byte, id, v uint64, body []byte, next string) []byte {
	dst = slices.Grow(dst, len(body)+len(next)+96)
	dst = appendReplyTo(dst, Route{ID: id})
	dst = strconv.AppendUint(append(dst, `,"out":{"v":`...), v, 10)
	dst = append(append(dst, ','), body...)
	if next != "" {
		dst = appendString(append(dst, `,"next":`...), next)
	}
	return append(dst, '}', '}')
}
