package wsframe

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// packed returns the payload of a compressed message, as the standard library
// makes it.
func packed(content string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		panic(err)
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), flushed)
}

// compressed returns the first frame of a compressed message, masked.
func compressed(fin bool, op ws.OpCode, payload string) string {
	return header(ws.Header{Fin: fin, Rsv: Rsv1, OpCode: op, Length: int64(len(payload)), Masked: true, Mask: testMask}) + masked(payload)
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// bomb is a payload of n bytes that becomes about a thousand times as many: one
// byte, then copies of 258 bytes of it, of which each takes two bits.
func bomb(n int) string {
	head := []byte(packed(strings.Repeat("\x00", 60_000)))
	// Its body is one byte again and again: the copies.
	at := len(head) / 2
	return string(head[:at]) + strings.Repeat(string(head[at]), n-len(head)) + string(head[at:])
}

func inflating(limit int) Parser {
	p := NewParser(Server, limit)
	p.Inflate()
	return p
}

// One message is one case; limit is 1000.
func TestInflate(t *testing.T) {
	const limit = 1000
	random := make([]byte, limit)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(random)
	binary := func(s string) []Message { return []Message{{ws.OpBinary, []byte(s)}} }
	tests := []struct {
		proves string
		in     string
		want   []Message
		code   ws.StatusCode
		reason string
	}{
		{"RFC 7692 7.2.3.1: one block", compressed(true, ws.OpText, unhex("f248cdc9c90700")), []Message{text("Hello")}, 0, ""},
		{
			"RFC 7692 7.2.3.1: two fragments", compressed(false, ws.OpText, unhex("f248cd")) + frame(true, 0, unhex("c9c90700")),
			[]Message{text("Hello")},
			0, "",
		},
		{"RFC 7692 7.2.3.2: a match in the message before", compressed(true, ws.OpText, unhex("f2001100 00")), nil, 1007, "decompress"},
		{"RFC 7692 7.2.3.3: a block without compression", compressed(true, ws.OpText, unhex("000500faff48656c6c6f00")), []Message{text("Hello")}, 0, ""},
		{"RFC 7692 7.2.3.4: a last block", compressed(true, ws.OpText, unhex("f348cdc9c9070000")), []Message{text("Hello")}, 0, ""},
		{"RFC 7692 7.2.3.5: two blocks", compressed(true, ws.OpText, unhex("f248050000 00ffffcac9c90700")), []Message{text("Hello")}, 0, ""},
		{"RFC 7692 7.2.3.6: an empty message", compressed(true, ws.OpText, "\x00"), []Message{text("")}, 0, ""},
		{"a last block and nothing behind it", compressed(true, ws.OpText, unhex("f348cdc9c90700")), []Message{text("Hello")}, 0, ""},
		{"an empty last block, cut", compressed(true, ws.OpText, unhex("000500faff48656c6c6f 01")), []Message{text("Hello")}, 0, ""},
		{"two last blocks", compressed(true, ws.OpText, unhex("f348cdc9c90700 f348cdc9c90700 00")), []Message{text("HelloHello")}, 0, ""},
		{"a match beyond a last block", compressed(true, ws.OpText, unhex("f348cdc9c90700 f200110000")), nil, 1007, "decompress"},
		{"a message that is not compressed", frame(true, ws.OpText, "Hello"), []Message{text("Hello")}, 0, ""},
		{
			"one that is, and one that is not", compressed(true, ws.OpText, packed("abc")) + frame(true, ws.OpText, "def"),
			[]Message{text("abc"), text("def")},
			0, "",
		},
		{
			"control frames between fragments",
			compressed(false, ws.OpText, packed("Hello, Hello")[:5]) + frame(true, ws.OpPing, "p") + frame(false, 0, "") + frame(true, ws.OpPong, "") + frame(true, 0, packed("Hello, Hello")[5:]),
			[]Message{{ws.OpPing, []byte("p")}, {ws.OpPong, []byte{}}, text("Hello, Hello")},
			0, "",
		},
		{"an empty first fragment", compressed(false, ws.OpBinary, "") + frame(true, 0, packed("abc")), binary("abc"), 0, ""},
		{"the largest message", compressed(true, ws.OpBinary, packed(strings.Repeat("x", limit))), binary(strings.Repeat("x", limit)), 0, ""},
		{"the largest message, which grew", compressed(true, ws.OpBinary, packed(string(random))), binary(string(random)), 0, ""},
		{"a character over two fragments", compressed(false, ws.OpText, packed("€")[:2]) + frame(true, 0, packed("€")[2:]), []Message{text("€")}, 0, ""},

		{"one byte too many", compressed(true, ws.OpBinary, packed(strings.Repeat("x", limit+1))), nil, 1009, "too large"},
		{"a bomb", compressed(true, ws.OpBinary, bomb(1000)), nil, 1009, "too large"},
		{"a bomb in fragments", compressed(false, ws.OpBinary, bomb(1000)[:500]) + frame(true, 0, bomb(1000)[500:]), nil, 1009, "too large"},
		{"announced as too large", compressed(true, ws.OpBinary, strings.Repeat("x", 1300)), nil, 1009, "too large"},
		{"fragments that are too large", compressed(false, ws.OpBinary, strings.Repeat("x", 1000)) + frame(false, 0, strings.Repeat("x", 300)), nil, 1009, "too large"},
		{"a plain message after a compressed one has no more room", compressed(true, ws.OpText, "\x00") + frame(true, ws.OpBinary, strings.Repeat("x", limit+1)), []Message{text("")}, 1009, "too large"},
		{"an empty payload: an empty message has a block as well", compressed(true, ws.OpText, ""), nil, 1007, "decompress"},
		{"no DEFLATE", compressed(true, ws.OpText, "\xff\xff\xff"), nil, 1007, "decompress"},
		{"reserved block type", compressed(true, ws.OpText, "\x06"), nil, 1007, "decompress"},
		{"cut inside a block", compressed(true, ws.OpText, packed(strings.Repeat("Hello ", 20) + "world")[:8]), nil, 1007, "decompress"},
		{"not UTF-8", compressed(true, ws.OpText, packed("a\xff")), nil, 1007, "UTF-8"},
		{"ends inside a character", compressed(true, ws.OpText, packed("\xe2\x82")), nil, 1007, "UTF-8"},
		{"binary need not be UTF-8", compressed(true, ws.OpBinary, packed("\xff")), binary("\xff"), 0, ""},
		{"compressed ping", compressed(true, ws.OpPing, "x"), nil, 1002, "RSV1"},
		{"compressed close", compressed(true, ws.OpClose, "\x03\xe8"), nil, 1002, "RSV1"},
		{"compressed continuation", compressed(false, ws.OpText, packed("abc")) + compressed(true, 0, ""), nil, 1002, "RSV1"},
		{"compressed continuation of a plain message", frame(false, ws.OpText, "abc") + compressed(true, 0, ""), nil, 1002, "RSV1"},
		{"compressed reserved opcode", compressed(true, 3, ""), nil, 1002, "op code"},
		{"reserved bits 1 and 2", header(ws.Header{Fin: true, Rsv: 6, OpCode: ws.OpText, Masked: true}), nil, 1002, "rsv"},
		{"reserved bit 3", header(ws.Header{Fin: true, Rsv: 1, OpCode: ws.OpText, Masked: true}), nil, 1002, "rsv"},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			p := inflating(limit)
			got := parse(&p, []byte(tt.in))
			if diff := cmp.Diff(tt.want, got.Messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if got.Code != tt.code || !strings.Contains(got.Text, tt.reason) {
				t.Errorf("error %d %q, want %d with %q", got.Code, got.Text, tt.code, tt.reason)
			}
			for step := 1; step <= 3; step++ {
				p := inflating(limit)
				if diff := cmp.Diff(got, parse(&p, []byte(tt.in), every(step, len(tt.in))...)); diff != "" {
					t.Errorf("in pieces of %d (-whole +pieces):\n%s", step, diff)
				}
				if p.message != nil || p.control != nil {
					t.Error("holds a buffer though nothing is incomplete")
				}
			}
		})
	}
}

// A bomb of 64 KiB, which stands for more than 60 MB, costs no more than the
// limit, whether it comes in one frame or in many.
func TestBomb(t *testing.T) {
	const limit = 64 << 10
	b := bomb(limit)
	r := flate.NewReader(strings.NewReader(b + finish))
	if n, err := io.Copy(io.Discard, r); n < 60e6 || err != nil {
		t.Fatalf("the bomb has %d bytes, %v", n, err)
	}
	var fragments []string
	for i := range 64 {
		part := b[i*1024 : (i+1)*1024]
		if i == 0 {
			fragments = append(fragments, compressed(false, ws.OpBinary, part))
		} else {
			fragments = append(fragments, frame(i == 63, 0, part))
		}
	}
	for name, in := range map[string]string{
		"one frame": compressed(true, ws.OpBinary, b),
		"fragments": strings.Join(fragments, ""),
	} {
		t.Run(name, func(t *testing.T) {
			data := make([]byte, len(in))
			explode := func() {
				copy(data, in)
				p := inflating(limit)
				if _, _, err := p.Next(data); !errors.Is(err, errTooBig) {
					t.Fatalf("error %v", err)
				}
			}
			explode() // fills the pools
			got := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					explode()
				}
			}).AllocedBytesPerOp()
			if got > 6*limit {
				t.Errorf("takes %d bytes, the limit is %d", got, limit)
			}
		})
	}
}

// Who sets no limit can be sent compressed messages as well.
func TestInflateWithoutLimit(t *testing.T) {
	p := inflating(math.MaxInt)
	content := strings.Repeat("x", 1<<20)
	got := parse(&p, []byte(compressed(true, ws.OpText, packed(content))))
	if got.Code != 0 || len(got.Messages) != 1 || string(got.Messages[0].Data) != content {
		t.Errorf("%d messages, error %d %q", len(got.Messages), got.Code, got.Text)
	}
}

// Many last blocks in one message do not cost more than their bytes.
func TestManyLastBlocks(t *testing.T) {
	p := inflating(64 << 10)
	got := parse(&p, []byte(compressed(true, ws.OpText, strings.Repeat("\x03\x00", 32<<10))))
	if diff := cmp.Diff(result{Messages: []Message{text("")}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is deflated inflates to the same, for the parser and for the standard
// library, and looks back no farther than its own length.
func TestDeflate(t *testing.T) {
	for level := range MaxLevel + 1 {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			deflate := NewDeflate(level)
			rapid.Check(t, func(t *rapid.T) {
				words := rapid.SliceOfN(rapid.SampledFrom([]string{`{"id":`, `"name":"`, `"},`, "kanava", "0", "17", "€", "\xff\x00", strings.Repeat("x", 300)}), 0, 400).Draw(t, "words")
				content := strings.Join(words, "") + string(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes"))
				out, smaller := deflate([]byte("before"), []byte(content))
				payload, found := strings.CutPrefix(string(out), "before")
				if !found || smaller != (payload != "") || len(payload) > 0 && len(payload) >= len(content) {
					t.Fatalf("%d bytes became %d, %v", len(content), len(payload), smaller)
				}
				if !smaller {
					return
				}
				plain, err := io.ReadAll(flate.NewReader(strings.NewReader(payload + finish)))
				if err != nil || string(plain) != content {
					t.Fatalf("compress/flate reads %q, %v", plain, err)
				}
				p := inflating(len(content))
				got := parse(&p, []byte(compressed(true, ws.OpBinary, payload)))
				if diff := cmp.Diff(result{Messages: []Message{{ws.OpBinary, []byte(content)}}}, got); diff != "" {
					t.Fatalf("the parser reads (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A message that does not get smaller is left as it is.
func TestDeflateRandom(t *testing.T) {
	random := make([]byte, 5000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	for _, level := range []int{0, 1, 9} {
		if out, smaller := NewDeflate(level)(nil, random); smaller || len(out) != 0 {
			t.Errorf("level %d: random bytes became %d", level, len(out))
		}
	}
}

// sample is n bytes of JSON of the kind that an application sends.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"hello", "price", "open", "order", "world", "again", "channel", "message"}
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"user":"u%06x","text":"%s %s","at":17%011d},`, r.IntN(1e5), r.IntN(1<<24), words[r.IntN(8)], words[r.IntN(8)], r.Int64N(1e11))
	}
	return b.Bytes()[:n]
}

func BenchmarkDeflate(b *testing.B) {
	for _, size := range []int{256, 512, 1024, 4096, 16 << 10, 64 << 10} {
		for _, level := range []int{0, 1, 6, 9} {
			b.Run(fmt.Sprintf("%d/level%d", size, level), func(b *testing.B) {
				deflate, content := NewDeflate(level), sample(size)
				var buf []byte
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = deflate(buf[:0], content)
				}
				b.ReportMetric(100*float64(len(buf))/float64(size), "%size")
			})
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, size := range []int{256, 1024, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := []byte(compressed(true, ws.OpText, packed(string(sample(size)))))
			data := make([]byte, len(in))
			p := inflating(64 << 10)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(data, in)
				if _, _, err := p.Next(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
