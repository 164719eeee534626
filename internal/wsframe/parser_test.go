package wsframe

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// result is what a stream of bytes comes to.
type result struct {
	Messages []Message
	Code     ws.StatusCode // of the error; 0 for none
	Text     string
}

// parse gives data to p in pieces that end at the given places, and collects
// copies of what comes out. A whole stream is one piece.
func parse(p *Parser, data []byte, splits ...int) result {
	var r result
	from := 0
	for _, to := range append(splits, len(data)) {
		piece := bytes.Clone(data[from:to]) // a buffer of its own: the parser writes into it
		from = to
		for {
			m, rest, err := p.Next(piece)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					panic(err)
				}
				r.Code, r.Text = e.Code, e.Text
				return r
			}
			if m.Op == 0 {
				break
			}
			r.Messages = append(r.Messages, Message{m.Op, append([]byte{}, m.Data...)})
			piece = rest
		}
	}
	return r
}

var testMask = [4]byte{0xa1, 0x00, 0x5c, 0xff}

// frame returns a masked frame.
func frame(fin bool, op ws.OpCode, payload string) string {
	return header(ws.Header{Fin: fin, OpCode: op, Length: int64(len(payload)), Masked: true, Mask: testMask}) + masked(payload)
}

func header(h ws.Header) string { return string(AppendHeader(nil, h)) }

func masked(payload string) string {
	b := []byte(payload)
	ws.Cipher(b, testMask, 0)
	return string(b)
}

func text(s string) Message { return Message{ws.OpText, []byte(s)} }

func TestNext(t *testing.T) {
	const limit = 1000
	long := strings.Repeat("ä", 80)
	m := ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: testMask}
	with := func(change func(*ws.Header)) string { h := m; change(&h); return header(h) }

	tests := []struct {
		proves string
		in     string
		want   []Message
		code   ws.StatusCode
		reason string
	}{
		{"nothing is nothing", "", nil, 0, ""},
		{"a text message", frame(true, ws.OpText, "hi"), []Message{text("hi")}, 0, ""},
		{"an empty message", frame(true, ws.OpText, ""), []Message{text("")}, 0, ""},
		{"a binary message need not be UTF-8", frame(true, ws.OpBinary, "\xff"), []Message{{ws.OpBinary, []byte{0xff}}}, 0, ""},
		{"a length of 16 bits", frame(true, ws.OpText, long), []Message{text(long)}, 0, ""},
		{
			"many messages in one piece", frame(true, ws.OpText, "a") + frame(true, ws.OpText, "b") + frame(true, ws.OpText, "c"),
			[]Message{text("a"), text("b"), text("c")},
			0, "",
		},
		{"fragments become one message", frame(false, ws.OpText, "a") + frame(false, 0, "") + frame(false, 0, "b") + frame(true, 0, "c"), []Message{text("abc")}, 0, ""},
		{"empty fragments before a whole one", frame(false, ws.OpText, "") + frame(true, 0, "c"), []Message{text("c")}, 0, ""},
		{"a fragmented message that is empty", frame(false, ws.OpText, "") + frame(true, 0, ""), []Message{text("")}, 0, ""},
		{
			"control frames between fragments", frame(false, ws.OpText, "a") + frame(true, ws.OpPing, "p") + frame(true, ws.OpPong, "") + frame(true, 0, "b"),
			[]Message{{ws.OpPing, []byte("p")}, {ws.OpPong, []byte{}}, text("ab")},
			0, "",
		},
		{"a character over two fragments", frame(false, ws.OpText, "\xe2\x82") + frame(true, 0, "\xac"), []Message{text("€")}, 0, ""},
		{"the largest message", frame(true, ws.OpBinary, strings.Repeat("x", limit)), []Message{{ws.OpBinary, bytes.Repeat([]byte("x"), limit)}}, 0, ""},
		{"what follows a close frame is ignored", frame(true, ws.OpClose, "\x03\xe8bye") + "\xff\xff\xff", []Message{{ws.OpClose, []byte("\x03\xe8bye")}}, 0, ""},
		{"an empty close frame", frame(true, ws.OpClose, ""), []Message{{ws.OpClose, []byte{}}}, 0, ""},
		{"a close code of the registry", frame(true, ws.OpClose, "\x03\xf4"), []Message{{ws.OpClose, []byte("\x03\xf4")}}, 0, ""},
		{"a close code of the application", frame(true, ws.OpClose, "\x0f\xa0"), []Message{{ws.OpClose, []byte("\x0f\xa0")}}, 0, ""},

		{"messages before a fault are not lost", frame(true, ws.OpText, "a") + "\xf1", []Message{text("a")}, 0, ""},
		{"not masked", with(func(h *ws.Header) { h.Masked = false }), nil, 1002, "masked"},
		{"reserved bit 1", with(func(h *ws.Header) { h.Rsv = 4 }), nil, 1002, "rsv"},
		{"reserved bit 2", with(func(h *ws.Header) { h.Rsv = 2 }), nil, 1002, "rsv"},
		{"reserved bit 3", with(func(h *ws.Header) { h.Rsv = 1 }), nil, 1002, "rsv"},
		{"reserved data opcode", frame(true, 3, ""), nil, 1002, "op code"},
		{"reserved control opcode", frame(true, 11, ""), nil, 1002, "op code"},
		{"fragmented ping", frame(false, ws.OpPing, ""), nil, 1002, "not final"},
		{"fragmented close", frame(false, ws.OpClose, ""), nil, 1002, "not final"},
		{"ping of 126 bytes", frame(true, ws.OpPing, strings.Repeat("x", 126)), nil, 1002, "payload limit"},
		{"continuation first", frame(true, 0, "x"), nil, 1002, "continuation"},
		{"continuation after a whole message", frame(true, ws.OpText, "a") + frame(true, 0, "x"), []Message{text("a")}, 1002, "continuation"},
		{"a new message inside of one", frame(false, ws.OpText, "a") + frame(true, ws.OpText, "b"), nil, 1002, "non-continuation"},
		{"length with the highest bit", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", nil, 1002, "highest bit"},
		{"announced as too large", with(func(h *ws.Header) { h.Length = limit + 1 }), nil, 1009, "too large"},
		{"announced as enormous", with(func(h *ws.Header) { h.Length = 1<<63 - 1 }), nil, 1009, "too large"},
		{"too large in fragments", frame(false, ws.OpText, strings.Repeat("x", limit)) + frame(false, 0, "x"), nil, 1009, "too large"},
		{"not UTF-8", frame(true, ws.OpText, "a\xff"), nil, 1007, "UTF-8"},
		{"ends inside a character", frame(true, ws.OpText, "\xe2\x82"), nil, 1007, "UTF-8"},
		{"ends inside a character in the last fragment", frame(false, ws.OpText, "a") + frame(true, 0, "\xe2\x82"), nil, 1007, "UTF-8"},
		{"an encoded surrogate", frame(true, ws.OpText, "\xed\xa0\x80"), nil, 1007, "UTF-8"},
		{"not UTF-8 before the message is complete", frame(false, ws.OpText, "a\xc0"), nil, 1007, "UTF-8"},
		{"not UTF-8 before the frame is complete", with(func(h *ws.Header) { h.Length = 100 }) + masked("\xf4\x90"), nil, 1007, "UTF-8"},
		{"close body of one byte", frame(true, ws.OpClose, "\x03"), nil, 1002, "one byte"},
		{"close code 0", frame(true, ws.OpClose, "\x00\x00"), nil, 1002, "code"},
		{"close code 999", frame(true, ws.OpClose, "\x03\xe7"), nil, 1002, "code"},
		{"close code 1004", frame(true, ws.OpClose, "\x03\xec"), nil, 1002, "code"},
		{"close code 1005", frame(true, ws.OpClose, "\x03\xed"), nil, 1002, "code"},
		{"close code 1006", frame(true, ws.OpClose, "\x03\xee"), nil, 1002, "code"},
		{"close code 1015", frame(true, ws.OpClose, "\x03\xf7"), nil, 1002, "code"},
		{"close code 1016", frame(true, ws.OpClose, "\x03\xf8"), nil, 1002, "code"},
		{"close code 2999", frame(true, ws.OpClose, "\x0b\xb7"), nil, 1002, "code"},
		{"close code 5000", frame(true, ws.OpClose, "\x13\x88"), nil, 1002, "code"},
		{"close reason not UTF-8", frame(true, ws.OpClose, "\x03\xe8\xff"), nil, 1007, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			p := NewParser(Server, limit)
			got := parse(&p, []byte(tt.in))
			if diff := cmp.Diff(tt.want, got.Messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if got.Code != tt.code || !strings.Contains(got.Text, tt.reason) {
				t.Errorf("error %d %q, want %d with %q", got.Code, got.Text, tt.code, tt.reason)
			}
			for step := 1; step <= 3; step++ {
				p := NewParser(Server, limit)
				if diff := cmp.Diff(got, parse(&p, []byte(tt.in), every(step, len(tt.in))...)); diff != "" {
					t.Errorf("in pieces of %d (-whole +pieces):\n%s", step, diff)
				}
				if got.Code == 0 && (p.message != nil || p.control != nil) {
					t.Error("holds a buffer though nothing is incomplete")
				}
			}
		})
	}
}

// every returns the multiples of step below n.
func every(step, n int) (splits []int) {
	for i := step; i < n; i += step {
		splits = append(splits, i)
	}
	return splits
}

func TestNextAsClient(t *testing.T) {
	in := AppendServer(nil, ws.OpText, []byte("hello"))
	p := NewParser(Client, 100)
	if diff := cmp.Diff(result{Messages: []Message{text("hello")}}, parse(&p, in)); diff != "" {
		t.Errorf("unmasked frame (-want +got):\n%s", diff)
	}
	p = NewParser(Client, 100)
	if got := parse(&p, []byte(frame(true, ws.OpText, "x"))); got.Code != 1002 {
		t.Errorf("masked frame: code %d, want 1002", got.Code)
	}
}

// An error is final: what follows is not parsed, whatever it is.
func TestNextAfterError(t *testing.T) {
	p := NewParser(Server, 100)
	_, _, first := p.Next([]byte("\xff\xff"))
	m, rest, err := p.Next([]byte(frame(true, ws.OpText, "x")))
	if first == nil || err != first || m.Op != 0 || len(rest) != 0 {
		t.Errorf("Next after %v: %v, %d bytes left, %v", first, m, len(rest), err)
	}
}

// A caller that stops in the middle finds the rest unchanged, and the message
// it has is its own until it goes on.
func TestNextStopsAndGoesOn(t *testing.T) {
	whole := frame(true, ws.OpText, "one") + frame(false, ws.OpText, "two")
	data := []byte(whole)
	p := NewParser(Server, 100)
	m, rest, err := p.Next(data)
	if err != nil || string(m.Data) != "one" {
		t.Fatalf("first message: %q, %v", m.Data, err)
	}
	if string(rest) != whole[len(whole)-len(rest):] {
		t.Error("Next changed bytes that it did not take")
	}
	kept := bytes.Clone(rest)
	clear(data)
	if m, rest, err = p.Next(append(kept, frame(true, 0, "!")...)); err != nil || string(m.Data) != "two!" || len(rest) != 0 {
		t.Errorf("second message: %q, %d bytes left, %v", m.Data, len(rest), err)
	}
}

// What a peer announces is not believed: memory follows what has arrived.
func TestMemoryFollowsArrival(t *testing.T) {
	p := NewParser(Server, 1<<30)
	in := []byte(header(ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: 1 << 29}))
	if _, _, err := p.Next(append(in, make([]byte, 1000)...)); err != nil {
		t.Fatal(err)
	}
	if cap(p.message.data) > 2048 {
		t.Errorf("holds %d bytes for 1000 that have arrived", cap(p.message.data))
	}
}

func TestAllocations(t *testing.T) {
	in := []byte(frame(true, ws.OpText, strings.Repeat("x", 64)) + frame(true, ws.OpPing, "p"))
	p := NewParser(Server, 1000)
	allocs := testing.AllocsPerRun(1000, func() {
		for data := in; ; {
			m, rest, err := p.Next(data)
			if err != nil {
				t.Fatal(err)
			}
			if m.Op == 0 {
				break
			}
			ws.Cipher(m.Data, testMask, 0) // for the next run
			data = rest
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a message and a ping, want 0", allocs)
	}
	out := make([]byte, 0, 128)
	if allocs := testing.AllocsPerRun(1000, func() { out = AppendServer(out[:0], ws.OpText, in[:64]) }); allocs != 0 {
		t.Errorf("%v allocations to append a frame, want 0", allocs)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{64, 1024, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := []byte(frame(true, ws.OpText, strings.Repeat("x", size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			buf := make([]byte, len(in))
			p := NewParser(Server, 64<<10)
			for b.Loop() {
				copy(buf, in)
				if _, _, err := p.Next(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestCrumbs(t *testing.T) {
	part := strings.Repeat("x", smallPart)
	tests := []struct {
		proves, in string
		want       int
	}{
		{"whole messages cost their own price, however small", frame(true, ws.OpText, "") + frame(true, ws.OpBinary, "x"), 0},
		{"pings and pongs count", frame(true, ws.OpPing, "x") + frame(true, ws.OpPong, "") + frame(true, ws.OpPong, ""), 3},
		{"small parts count, but not the last", frame(false, ws.OpText, "") + frame(false, 0, "") + frame(false, 0, part[1:]) + frame(true, 0, "x"), 3},
		{"large parts are free", frame(false, ws.OpText, part) + frame(false, 0, part) + frame(true, 0, ""), 0},
		{"they count before their payload has come", frame(false, ws.OpText, "xx")[:7], 1},
		{"a close frame is the last thing", frame(true, ws.OpPing, "") + frame(true, ws.OpClose, ""), 1},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			for _, splits := range [][]int{nil, every(1, len(tt.in))} {
				p := NewParser(Server, 10_000)
				parse(&p, []byte(tt.in), splits...)
				if got := p.Crumbs(); got != tt.want {
					t.Errorf("split at %v: %d, want %d", splits, got, tt.want)
				}
				if again := p.Crumbs(); again != 0 {
					t.Errorf("asked again: %d", again)
				}
			}
		})
	}
}
