package autobahn_test

import (
	"fmt"
	"strings"
)

// limit is the largest message of both sides.
const limit = 70_000

// sizes are those at which the form of the length changes (RFC 6455 section
// 5.2), and the limit.
var sizes = []int{0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, limit}

// A pattern is one message, cut and sent in one of many ways.
type pattern struct {
	name   string
	steps  []step
	binary bool
	data   string
	pongs  []string // for the pings in between
}

// patterns are right, all of them.
func patterns() []pattern {
	var out []pattern
	add := func(name string, binary bool, data string, steps ...step) {
		out = append(out, pattern{name: name, steps: steps, binary: binary, data: data})
	}
	for _, size := range sizes {
		data := strings.Repeat("*", size)
		add(fmt.Sprintf("5.6 binary of %d bytes", size), true, data, message(data, true, 0))
		if size >= 4 { // a text that is empty is ignored (docs/protocol.md section 2)
			add(fmt.Sprintf("5.6 text of %d bytes", size), false, jsonText(size), message(jsonText(size), false, 0))
		}
	}
	add("5.6 text of 1 byte", false, "7", message("7", false, 0))
	for _, size := range []int{1, 2, 3, 125, 126, 127, 4096} {
		data := jsonText(4 * size)
		add(fmt.Sprintf("5.4 text in fragments of %d bytes", size), false, data, message(data, false, size))
		data = strings.Repeat("01234567", size)
		add(fmt.Sprintf("5.4 binary in fragments of %d bytes", size), true, data, message(data, true, size))
	}
	data := jsonText(limit)
	add("5.4 text of the limit in fragments of 1000 bytes", false, data, message(data, false, 1000))
	add("5.4 empty fragments", false, `"ab"`,
		more(opText, ""), more(opContinuation, `"a`), more(opContinuation, ""), more(opContinuation, `b"`), frame(opContinuation, ""))
	add("5.4 only empty fragments", true, "", more(opBinary, ""), more(opContinuation, ""), frame(opContinuation, ""))
	add("5.6 a character in four frames", false, `"😀"`,
		more(opText, "\"\xf0"), more(opContinuation, "\x9f"), more(opContinuation, "\x98"), frame(opContinuation, "\x80\""))
	add("5.6 noncharacters and the ends of the planes", false, "\"\uffff\ufdd0\U0001fffe\U0010ffff\"",
		message("\"\uffff\ufdd0\U0001fffe\U0010ffff\"", false, 0))
	add("5.2 a frame in writes of one byte", true, strings.Repeat("z", 300), chopped(1, frame(opBinary, strings.Repeat("z", 300))))

	out = append(out,
		pattern{
			"5.4 a ping between fragments",
			[]step{more(opText, `"a`), frame(opPing, "in between"), frame(opContinuation, `b"`)},
			false, `"ab"`,
			[]string{"in between"},
		},
		pattern{
			"5.5.2 the largest ping, before a message",
			[]step{frame(opPing, strings.Repeat("p", 125)), after(1, frame(opText, "1"))},
			false, "1",
			[]string{strings.Repeat("p", 125)},
		},
		pattern{
			"5.5.2 a ping with bytes that are no text",
			[]step{frame(opPing, "\xff\x00\xfe"), after(1, frame(opText, "1"))},
			false, "1",
			[]string{"\xff\x00\xfe"},
		},
		pattern{
			"5.5.2 a ping in writes of one byte",
			[]step{chopped(1, frame(opPing, "slow")), after(1, frame(opText, "1"))},
			false, "1",
			[]string{"slow"},
		},
		pattern{
			"5.5.2 an empty ping in each gap of a message",
			[]step{
				more(opBinary, "a"), ping(""), after(1, more(opContinuation, "b")), ping(""), after(2, frame(opContinuation, "c")),
			},
			true, "abc",
			[]string{"", ""},
		},
		pattern{
			"5.5.3 a pong that nobody asked for",
			[]step{frame(opPong, "unasked"), more(opText, `"`), frame(opPong, ""), frame(opContinuation, `"`)},
			false, `""`, nil,
		},
	)
	return out
}

// A broken case is one that breaks a rule.
type broken struct {
	name  string
	steps []step
	code  int // to close the connection with
}

// brokenCases returns those that the side which sends can do wrong. masked says
// that it is a client.
func brokenCases(masked bool) []broken {
	var out []broken
	add := func(code int, name string, steps ...step) { out = append(out, broken{name, steps, code}) }

	wrongMask := frame(opText, "1")
	wrongMask.WrongMask = true
	add(1002, "5.1 masked as only the other side may", wrongMask)
	wrongMask = frame(opPing, "")
	wrongMask.WrongMask = true
	add(1002, "5.1 a ping masked as only the other side may", wrongMask)

	for _, bits := range []int{1, 2, 3, 4, 7} {
		add(1002, fmt.Sprintf("5.2 reserved bits %03b of a text", bits), rsv(bits, frame(opText, "1")))
		add(1002, fmt.Sprintf("5.2 reserved bits %03b of a ping", bits), rsv(bits, frame(opPing, "")))
		add(1002, fmt.Sprintf("5.2 reserved bits %03b of a continuation", bits), more(opText, `"`), rsv(bits, frame(opContinuation, `"`)))
	}
	for _, op := range []int{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(1002, fmt.Sprintf("5.2 reserved opcode %d", op), frame(op, ""))
		add(1002, fmt.Sprintf("5.2 reserved opcode %d with data, after a message", op), frame(opBinary, "right"), frame(op, "data"))
		add(1002, fmt.Sprintf("5.2 reserved opcode %d between fragments", op), more(opBinary, "a"), frame(op, ""), frame(opContinuation, "b"))
	}

	add(1002, "5.4 a continuation of nothing", frame(opContinuation, "x"))
	add(1002, "5.4 a continuation of nothing that goes on", more(opContinuation, "x"))
	add(1002, "5.4 a continuation after a whole message", frame(opBinary, "right"), frame(opContinuation, "x"))
	add(1002, "5.4 a continuation after the last fragment", more(opBinary, "a"), frame(opContinuation, "b"), frame(opContinuation, "c"))
	add(1002, "5.4 a text within a text", more(opText, `"`), frame(opText, `"`))
	add(1002, "5.4 a binary within a text", more(opText, `"`), frame(opBinary, "x"))
	add(1002, "5.4 a message begun within another", more(opBinary, "a"), more(opBinary, "b"), frame(opContinuation, "c"))

	for op, name := range map[int]string{opPing: "ping", opPong: "pong", opClose: "close"} {
		add(1002, "5.5 a fragmented "+name, more(op, ""), frame(opContinuation, ""))
		add(1002, "5.5 a "+name+" of 126 bytes", frame(op, "\x03\xe8"+strings.Repeat("x", 124)))
		add(1002, "5.5 a "+name+" of 65536 bytes", frame(op, "\x03\xe8"+strings.Repeat("x", 65534)))
	}

	add(1002, "5.5.1 a close frame of one byte", frame(opClose, "\x03"))
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(1002, fmt.Sprintf("7.4 close code %d", code), frame(opClose, closeBody(code)))
		add(1002, fmt.Sprintf("7.4 close code %d with a reason", code), frame(opClose, closeBody(code)+"because"))
	}
	add(1007, "5.5.1 a reason that is no UTF-8", frame(opClose, closeBody(1000)+"\xff"))
	add(1007, "5.5.1 a reason that ends within a character", frame(opClose, closeBody(1000)+"caf\xc3"))

	for name, data := range map[string]string{
		"a byte that no character has":  "a\xffb",
		"a continuation byte alone":     "a\x80b",
		"a character that is too long":  "a\xc0\xafb",
		"three bytes where one will do": "\xe0\x80\xaf",
		"a surrogate":                   "\xed\xa0\x80",
		"above the last character":      "\xf4\x90\x80\x80",
		"a character cut short":         "a\xe2\x82b",
		"the end within a character":    "a\xe2\x82",
		"the first byte of six":         "\xfc\x84\x80\x80\x80\x80",
	} {
		add(1007, "8.1 "+name, frame(opText, `"`+data))
		add(1007, "8.1 "+name+", in fragments of one byte", message(`"`+data, false, 1))
	}
	add(1007, "8.1 found before the message ends", more(opText, "\"a\xff"))
	add(1007, "8.1 found in a later fragment", more(opText, "\"\xf4"), more(opContinuation, "\x90"))
	add(1007, "8.1 found after a ping in the gap", more(opText, "\"\xf4"), frame(opPong, ""), more(opContinuation, "\x90\x80\x80"))

	huge := func(length string) step { // a header alone
		if masked {
			return raw("\x82\xff" + length + "mask")
		}
		return raw("\x82\x7f" + length)
	}
	big := strings.Repeat("x", limit+1)
	add(1009, "10.4 a message above the limit", frame(opBinary, big))
	add(1009, "10.4 a text above the limit", frame(opText, big))
	add(1009, "10.4 a message that fragments bring above the limit", message(big, true, 1000))
	add(1009, "10.4 a message that is announced to be huge", huge("\x00\x00\x00\xff\x00\x00\x00\x00"))
	add(1002, "5.2 a length with its highest bit set", huge("\x80\x00\x00\x00\x00\x00\x00\x01"))
	return out
}

// closeBody is what stands in a close frame before the reason.
func closeBody(code int) string { return string([]byte{byte(code >> 8), byte(code)}) }

// closeCodes are those that may be sent (RFC 6455 section 7.4, and the
// registry of section 11.7), without 1014, which autobahn takes for a fault.
var closeCodes = []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4123, 4999}
