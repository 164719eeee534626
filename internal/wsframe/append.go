package wsframe

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// MaxReason is the number of bytes of the reason that a close frame can hold.
const MaxReason = ws.MaxControlFramePayloadSize - 2

// Rsv1 is the bit of [ws.Header.Rsv] that marks the first frame of a compressed
// message.
const Rsv1 = 4

// AppendHeader appends the header of a frame as RFC 6455 section 5.2 draws it.
// The payload follows it; if h.Masked is set, masked with h.Mask.
func AppendHeader(dst []byte, h ws.Header) []byte {
	first := byte(h.OpCode) | h.Rsv<<4
	if h.Fin {
		first |= 0x80
	}
	var masked byte
	if h.Masked {
		masked = 0x80
	}
	switch {
	case h.Length <= 125:
		dst = append(dst, first, masked|byte(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, first, masked|126, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, first, masked|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Mask[:]...)
	}
	return dst
}

// AppendServer appends a whole message from a server: one frame, not masked.
func AppendServer(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = AppendHeader(dst, ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendClient appends a whole message from a client: one frame, masked. The
// mask must be new for each frame and not be foreseeable (RFC 6455 section
// 10.3). The payload is not changed.
func AppendClient(dst []byte, op ws.OpCode, mask [4]byte, payload []byte) []byte {
	dst = AppendHeader(dst, ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))})
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], mask, 0)
	return dst
}

// AppendCloseBody appends what stands in a close frame. A reason of more than
// [MaxReason] bytes is cut at the end of a character. For a code that may not be
// sent, such as 1005, it appends nothing: the frame then says nothing.
func AppendCloseBody(dst []byte, code ws.StatusCode, reason string) []byte {
	if !MaySend(code) {
		return dst
	}
	if len(reason) > MaxReason {
		end := MaxReason
		for end > 0 && !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
