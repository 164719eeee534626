// Package wsframe turns bytes into WebSocket messages and messages into bytes
// (RFC 6455 sections 5 to 7, RFC 7692 sections 6 and 7). It neither reads nor
// writes: whoever owns the socket gives the [Parser] what has arrived and takes
// the messages out, on a goroutine per connection or on one loop for many.
package wsframe

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Role is the side of the connection that reads.
type Role uint8

// A server takes masked frames only, a client unmasked ones only (RFC 6455
// section 5.1).
const (
	Server = Role(ws.StateServerSide)
	Client = Role(ws.StateClientSide)
)

// Message is one whole data message or one control frame. Data is unmasked and
// decompressed. It belongs to the caller until the next call of a method of the
// Parser, and may be changed.
type Message struct {
	Op   ws.OpCode // OpText, OpBinary, OpClose, OpPing or OpPong; 0 for none
	Data []byte
}

// Parser finds the messages in the bytes that a peer sends, however they are
// split. It is not safe for concurrent use. While no frame or message is
// incomplete it holds no buffer, and it never holds more than about twice what
// has arrived of a message.
type Parser struct {
	limit   int
	message *buffer // what has arrived of the message
	control *buffer // what has arrived of the control frame
	checked int     // bytes at the front of message that are known to be UTF-8
	left    int     // payload bytes of the frame that have not arrived
	crumbs  int     // what Crumbs returns
	err     error   // the broken rule; nothing is parsed after it

	header  [ws.MaxHeaderSize]byte // an incomplete header
	nheader uint8                  // bytes in header
	role    Role
	kind    ws.OpCode // of the message that is begun; 0 for none
	op      ws.OpCode // of the frame, while inside is set
	mask    [4]byte   // turned, so that its first byte is for the next payload byte
	inside  bool      // a header was read; its payload is not complete
	fin     bool
	inflate bool // messages may be compressed
	packed  bool // the message that is begun is
	lent    bool // message was given to the caller
	lentCtl bool // control was given to the caller
	closed  bool // a close frame was given to the caller
}

// NewParser returns a Parser for the side that reads. A message of more than
// limit bytes is refused as soon as a header announces it.
func NewParser(role Role, limit int) Parser {
	return Parser{role: role, limit: limit}
}

// Inflate lets the peer compress messages from now on, as [Negotiate] agreed
// with it. The limit is for what they hold when they are decompressed.
func (p *Parser) Inflate() { p.inflate = true }

// Next takes bytes from the front of data up to the end of the first message
// in it, and returns that and the bytes it did not take. If there is no whole
// message, the Op of m is 0 and rest is empty. The caller goes on with rest, at
// once or when it likes; what follows on the connection comes after rest.
//
// The payload of a message that lies in data as one frame is unmasked there
// and not copied. Next changes no byte of rest.
//
// An error is always an [*Error], and final. What follows a close frame is
// taken and ignored, as RFC 6455 section 5.5.1 wants.
func (p *Parser) Next(data []byte) (m Message, rest []byte, err error) {
	p.Release()
	for p.err == nil && !p.closed {
		if !p.inside {
			if len(data) == 0 {
				return Message{}, nil, nil
			}
			if data = p.readHeader(data); !p.inside {
				continue // it was the last of data, or an error
			}
		}
		var done bool
		if p.op.IsControl() {
			m, data, done = p.readControl(data)
		} else {
			m, data, done = p.readData(data)
		}
		switch {
		case done:
			return m, data, nil
		case len(data) == 0:
			return Message{}, nil, p.err
		}
	}
	return Message{}, nil, p.err
}

// smallPart is what a part of a message has at least, unless it is the last, to
// be worth its frame.
const smallPart = 512

// Crumbs returns how many frames have come, since it was called last, that cost
// work and bring little: pings, pongs, and small parts of a message that are
// not its last. A peer can send them without end.
func (p *Parser) Crumbs() int {
	n := p.crumbs
	p.crumbs = 0
	return n
}

// Release lets go of the buffer of the last message. Next does so too: it is
// for a caller that goes on later.
func (p *Parser) Release() {
	if p.lent {
		p.message.giveBack()
		p.message, p.lent = nil, false
	}
	if p.lentCtl {
		p.control.giveBack()
		p.control, p.lentCtl = nil, false
	}
}

// Idle reports whether nothing is incomplete or over: a fresh Parser would go
// on as this one does.
func (p *Parser) Idle() bool {
	return p.err == nil && !p.closed && !p.inside && p.nheader == 0 && p.kind == 0 &&
		p.message == nil && p.control == nil && p.crumbs == 0
}

func (p *Parser) fail(e *Error) {
	p.err = e
	p.lent, p.lentCtl = p.message != nil, p.control != nil
	p.Release()
}

// readHeader takes the bytes of a header from data. If it is complete, inside
// is set.
func (p *Parser) readHeader(data []byte) (rest []byte) {
	b, had := data, 0
	if p.nheader > 0 {
		had = int(p.nheader)
		b = p.header[:had+copy(p.header[had:], data)]
	}
	h, size, e := p.parseHeader(b)
	switch {
	case e != nil:
		p.fail(e)
		return nil
	case size == 0:
		if had == 0 {
			copy(p.header[:], data)
		}
		p.nheader += uint8(len(data))
		return nil
	}
	p.nheader = 0
	p.inside = true
	p.op, p.fin, p.mask, p.left = h.OpCode, h.Fin, h.Mask, int(h.Length)
	if p.op == ws.OpText || p.op == ws.OpBinary {
		p.kind, p.packed = p.op, h.Rsv != 0
	}
	if p.op == ws.OpPing || p.op == ws.OpPong || !p.fin && p.left < smallPart {
		p.crumbs++
	}
	return data[size-had:]
}

// parseHeader returns the header at the front of b and its size, which is 0 if
// bytes are missing. It refuses what is wrong as soon as it can be seen.
func (p *Parser) parseHeader(b []byte) (h ws.Header, size int, e *Error) {
	if len(b) < ws.MinHeaderSize {
		return h, 0, nil
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] & 0x70 >> 4
	rsv1 := byte(0)
	if p.inflate {
		rsv1 = h.Rsv & Rsv1
		h.Rsv &^= Rsv1
	}
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	h.Length = int64(b[1] & 0x7f)
	state := ws.State(p.role)
	if p.kind != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return h, 0, protocolError(err)
	}
	if h.Rsv = rsv1; rsv1 != 0 && h.OpCode != ws.OpText && h.OpCode != ws.OpBinary {
		return h, 0, errRsv1 // RFC 7692 section 6
	}

	size = ws.MinHeaderSize
	switch h.Length {
	case 126:
		if size += 2; len(b) < size {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if size += 8; len(b) < size {
			return h, 0, nil
		}
		if h.Length = int64(binary.BigEndian.Uint64(b[2:])); h.Length < 0 {
			return h, 0, errLength
		}
	}
	limit := p.limit
	if rsv1 != 0 || p.packed {
		limit += min(limit/8+64, math.MaxInt-limit) // what does not compress may grow
	}
	if h.OpCode.IsData() && h.Length > int64(limit-p.message.len()) {
		return h, 0, errTooBig
	}
	if h.Masked {
		if size += len(h.Mask); len(b) < size {
			return h, 0, nil
		}
		copy(h.Mask[:], b[size-len(h.Mask):])
	}
	return h, size, nil
}

// readControl takes the payload of a control frame.
func (p *Parser) readControl(data []byte) (m Message, rest []byte, done bool) {
	body, rest := p.cut(data)
	if p.left > 0 || p.control != nil {
		p.control = p.control.extend(body)
		body, p.lentCtl = p.control.data, p.left == 0
	}
	if p.left > 0 {
		return Message{}, rest, false
	}
	p.inside = false
	if p.op == ws.OpClose {
		if e := checkClose(body); e != nil {
			p.fail(e)
			return Message{}, nil, false
		}
		p.closed = true
	}
	return Message{p.op, body}, rest, true
}

// readData takes payload of a text, binary or continuation frame.
func (p *Parser) readData(data []byte) (m Message, rest []byte, done bool) {
	body, rest := p.cut(data)
	last := p.fin && p.left == 0
	p.inside = p.left > 0
	if last && p.message == nil && !p.packed {
		if p.kind == ws.OpText && !utf8.Valid(body) {
			p.fail(errUTF8)
			return Message{}, nil, false
		}
	} else {
		if len(body) > 0 || last {
			p.message = p.message.extend(body)
		}
		if last && p.packed {
			if e := p.unpack(); e != nil {
				p.fail(e)
				return Message{}, nil, false
			}
		}
		if p.kind == ws.OpText && !p.packed && !p.check(last) {
			p.fail(errUTF8)
			return Message{}, nil, false
		}
		if !last {
			return Message{}, rest, false
		}
		body, p.lent = p.message.data, true
	}
	m = Message{p.kind, body}
	p.kind, p.checked = 0, 0
	return m, rest, true
}

// unpack decompresses the message, which is whole.
func (p *Parser) unpack() *Error {
	p.message = p.message.extend([]byte(finish))
	content, e := inflate(p.message.data, p.limit)
	if e != nil {
		return e
	}
	p.message.giveBack()
	p.message, p.packed = content, false
	return nil
}

// cut takes what data holds of the frame's payload and unmasks it in place.
func (p *Parser) cut(data []byte) (body, rest []byte) {
	n := min(p.left, len(data))
	p.left -= n
	body, rest = data[:n:n], data[n:]
	if p.role == Server && n > 0 {
		ws.Cipher(body, p.mask, 0)
		if p.left > 0 {
			m := p.mask
			for i := range p.mask {
				p.mask[i] = m[(n+i)%4]
			}
		}
	}
	return body, rest
}

// check reports whether the message is UTF-8 as far as it goes. If it is not
// the whole message, it may end inside a character.
func (p *Parser) check(whole bool) bool {
	if p.message == nil {
		return true
	}
	b := p.message.data[p.checked:]
	end := len(b)
	if !whole {
		end = lastBoundary(b)
	}
	p.checked += end
	return utf8.Valid(b[:end])
}

// lastBoundary returns the length of b without the character at its end that
// is incomplete, but could become valid.
func lastBoundary(b []byte) int {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}

// Error is a rule that the peer broke.
type Error struct {
	Code ws.StatusCode // to close the connection with: 1002, 1007 or 1009
	Text string        // for the reason of the close frame
}

// Error returns the text, with the name of the package.
func (e *Error) Error() string { return "wsframe: " + e.Text }

var (
	errLength    = &Error{ws.StatusProtocolError, "frame length has its highest bit set"}
	errCloseBody = &Error{ws.StatusProtocolError, "close frame with a body of one byte"}
	errCloseCode = &Error{ws.StatusProtocolError, "close frame with a code that may not be sent"}
	errUTF8      = &Error{ws.StatusInvalidFramePayloadData, "text is not valid UTF-8"}
	errTooBig    = &Error{ws.StatusMessageTooBig, "message is too large"}
	errRsv1      = &Error{ws.StatusProtocolError, "RSV1 on a frame that does not begin a message"}
	errDeflate   = &Error{ws.StatusInvalidFramePayloadData, "message does not decompress"} // RFC 6455 section 7.4.1
)

// headerErrors holds what CheckHeader finds, so that a hostile peer does not
// cost an allocation.
var headerErrors = func() map[error]*Error {
	m := map[error]*Error{}
	for _, err := range []error{
		ws.ErrProtocolOpCodeReserved, ws.ErrProtocolControlPayloadOverflow, ws.ErrProtocolControlNotFinal,
		ws.ErrProtocolNonZeroRsv, ws.ErrProtocolMaskRequired, ws.ErrProtocolMaskUnexpected,
		ws.ErrProtocolContinuationExpected, ws.ErrProtocolContinuationUnexpected,
	} {
		m[err] = &Error{ws.StatusProtocolError, err.Error()}
	}
	return m
}()

func protocolError(err error) *Error {
	if e, ok := headerErrors[err]; ok {
		return e
	}
	return &Error{ws.StatusProtocolError, err.Error()}
}

// checkClose applies the rules for what stands in a close frame (RFC 6455
// sections 5.5.1 and 7.4).
func checkClose(body []byte) *Error {
	switch {
	case len(body) == 0:
		return nil
	case len(body) == 1:
		return errCloseBody
	case !MaySend(ws.StatusCode(binary.BigEndian.Uint16(body))):
		return errCloseCode
	case !utf8.Valid(body[2:]):
		return errUTF8
	}
	return nil
}

// registered holds the codes below 3000 that may stand in a close frame: those
// of RFC 6455 section 7.4.1, and 1012 to 1014 of the IANA registry.
var registered = []ws.StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}

// MaySend reports whether code may stand in a close frame.
func MaySend(code ws.StatusCode) bool {
	return code >= 3000 && code <= 4999 || slices.Contains(registered, code)
}

// ParseClose returns what stands in the close frame that a Parser returned:
// 1005 if that was empty.
func ParseClose(body []byte) (ws.StatusCode, string) {
	if len(body) < 2 {
		return ws.StatusNoStatusRcvd, ""
	}
	return ws.ParseCloseFrameData(body)
}
