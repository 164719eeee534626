package autobahn_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

// offers are arguments of PerMessageDeflateOffer. In autobahn's words a client
// accepts what it does itself, and requests what the server does.
var offers = []struct {
	name   string
	args   map[string]any
	window int // of the server, as a power of two
}{
	{"7.1 no parameters", map[string]any{"accept_no_context_takeover": false, "accept_max_window_bits": false}, 15},
	{"7.1.1.2 client_no_context_takeover", map[string]any{"accept_max_window_bits": false}, 15},
	{"7.1.2.2 client_max_window_bits", map[string]any{"accept_no_context_takeover": false}, 15},
	{"7.1.1.1 server_no_context_takeover", map[string]any{"request_no_context_takeover": true}, 15},
	{"7.1.2.1 server_max_window_bits=15", map[string]any{"request_max_window_bits": 15}, 15},
	{"7.1.2.1 server_max_window_bits=12", map[string]any{"request_max_window_bits": 12}, 12},
	{"7.1.2.1 server_max_window_bits=9", map[string]any{"request_max_window_bits": 9}, 9},
	{"7.1 all of them", map[string]any{"request_no_context_takeover": true, "request_max_window_bits": 10}, 10},
}

// noise is JSON text that hardly gets smaller.
func noise(size int) string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, size)
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
	}
	text[0], text[size-1] = '"', '"'
	return string(text)
}

// deflated is a compressed message as RFC 7692 section 7.2.1 makes it.
func deflated(t *testing.T, data string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// packed marks a frame as the first of a compressed message.
func packed(s step) step { return rsv(4, s) }

func TestForeignClientCompresses(t *testing.T) {
	server := startServer(t, ws.Options{Compress: true})
	client, _ := startPeer(t, "client")
	anyOffer := map[string]any{}
	connect := func(t *testing.T, offer map[string]any, steps ...step) report {
		t.Helper()
		return client.connect(t, foreignCase{URL: server.url, Deflate: offer, Steps: steps})
	}

	t.Run("offers", func(t *testing.T) {
		for _, tt := range offers {
			t.Run(tt.name, func(t *testing.T) {
				// Three alike: a context that one side keeps would show.
				data := jsonText(limit)
				r := connect(t, tt.args, message(data, false, 0), message(data, false, 1000), message(data, true, 0), after(3, closing(1000, "")))
				r.wantGot(t, text(data), text(data), binary(data))
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
				agreed := strings.Join(r.Extensions, " ")
				for _, want := range []string{
					"PerMessageDeflate", "server_no_context_takeover = True", "client_no_context_takeover = True",
					fmt.Sprintf("server_max_window_bits = %d,", tt.window),
				} {
					if !strings.Contains(agreed, want) {
						t.Errorf("agreed on %q, want %q in it", agreed, want)
					}
				}
				// Our server compresses only what is within the window.
				if whole := 3 * limit; tt.window < 15 && r.Wire != whole || tt.window == 15 && r.Wire > whole/100 {
					t.Errorf("%d bytes took %d on the wire", whole, r.Wire)
				}
			})
		}
		t.Run("7.1 none", func(t *testing.T) {
			r := client.connect(t, foreignCase{URL: server.url, Steps: []step{message(jsonText(5000), false, 0), after(1, closing(1000, ""))}})
			r.wantGot(t, text(jsonText(5000)))
			r.wantClosed(t, 1000, "")
			server.wantEnd(t, 1000, "")
			if len(r.Extensions) > 0 || r.Wire != 5000 {
				t.Errorf("agreed on %q, %d bytes on the wire", r.Extensions, r.Wire)
			}
		})
		t.Run("7.1 the server does not compress", func(t *testing.T) {
			plain := startServer(t, ws.Options{})
			r := client.connect(t, foreignCase{URL: plain.url, Deflate: anyOffer, Steps: []step{message(jsonText(5000), false, 0), after(1, closing(1000, ""))}})
			r.wantGot(t, text(jsonText(5000)))
			r.wantClosed(t, 1000, "")
			plain.wantEnd(t, 1000, "")
			if len(r.Extensions) > 0 {
				t.Errorf("agreed on %q", r.Extensions)
			}
		})
	})

	t.Run("messages", func(t *testing.T) {
		for _, tt := range patterns() { // frames that are not compressed may stand among others
			t.Run(tt.name, func(t *testing.T) {
				want := pongs(tt.pongs)
				if tt.binary {
					want = append(want, binary(tt.data))
				} else {
					want = append(want, text(tt.data))
				}
				r := connect(t, anyOffer, append(tt.steps, after(len(want), closing(1000, "")))...)
				r.wantGot(t, want...)
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
			})
		}
		for _, size := range []int{100, 511, 512, 513, 5000, 65536, limit} {
			t.Run(fmt.Sprintf("7.2 %d bytes that hardly get smaller", size), func(t *testing.T) {
				r := connect(t, anyOffer, message(noise(size), false, 0), message(noise(size), true, 700), after(2, closing(1000, "")))
				r.wantGot(t, text(noise(size)), binary(noise(size)))
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
				if r.Wire > 2*size {
					t.Errorf("took %d bytes on the wire", r.Wire)
				}
			})
			t.Run(fmt.Sprintf("7.2 %d bytes that get much smaller", size), func(t *testing.T) {
				r := connect(t, anyOffer, message(jsonText(size), false, 0), after(1, closing(1000, "")))
				r.wantGot(t, text(jsonText(size)))
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
				if size < 512 && r.Wire != size || size >= 512 && r.Wire > size/10 {
					t.Errorf("took %d bytes on the wire", r.Wire)
				}
			})
		}
		for _, tt := range []struct {
			name  string
			steps []step
			want  []came
		}{
			{"7.2.3.1 one block", []step{packed(frame(opBinary, "\xf2\x48\xcd\xc9\xc9\x07\x00"))}, []came{binary("Hello")}},
			{"7.2.3.1 in two frames", []step{packed(more(opBinary, "\xf2\x48\xcd")), frame(opContinuation, "\xc9\xc9\x07\x00")}, []came{binary("Hello")}},
			{"7.2.3.3 not compressed", []step{packed(frame(opBinary, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"))}, []came{binary("Hello")}},
			{"7.2.3.4 the last block is marked", []step{packed(frame(opBinary, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))}, []came{binary("Hello")}},
			{"7.2.3.5 two blocks", []step{packed(frame(opBinary, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"))}, []came{binary("Hello")}},
			{"7.2.3.6 empty", []step{packed(frame(opBinary, "\x00"))}, []came{binary("")}},
			{
				"6.1 a ping among the frames",
				[]step{packed(more(opBinary, "\xf2\x48")), ping("x"), more(opContinuation, ""), after(1, frame(opContinuation, "\xcd\xc9\xc9\x07\x00"))},
				[]came{pong("x"), binary("Hello")},
			},
			{"6.1 compressed or not, message by message", []step{frame(opBinary, "plain"), packed(frame(opBinary, "\xf2\x48\xcd\xc9\xc9\x07\x00")), frame(opText, "1")}, []came{binary("plain"), binary("Hello"), text("1")}},
			{"8.1 a character in two frames", []step{packed(more(opText, deflated(t, `"é"`)[:3])), frame(opContinuation, deflated(t, `"é"`)[3:])}, []came{text(`"é"`)}},
			{"10.4 the limit", []step{packed(frame(opBinary, deflated(t, strings.Repeat("x", limit))))}, []came{binary(strings.Repeat("x", limit))}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := connect(t, anyOffer, append(tt.steps, after(len(tt.want), closing(1000, "")))...)
				r.wantGot(t, tt.want...)
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
			})
		}
	})

	t.Run("broken rules", func(t *testing.T) {
		hello := deflated(t, "Hello")
		for _, tt := range []broken{
			{"6.1 a compressed ping", []step{packed(frame(opPing, ""))}, 1002},
			{"6.1 a compressed close frame", []step{packed(frame(opClose, closeBody(1000)))}, 1002},
			{"6.1 a continuation that is marked", []step{packed(more(opBinary, hello[:2])), packed(frame(opContinuation, hello[2:]))}, 1002},
			{"5.2 another reserved bit", []step{rsv(6, frame(opBinary, hello))}, 1002},
			{"7.2.2 no DEFLATE", []step{packed(frame(opBinary, "\xff\xff\xff\xff"))}, 1007},
			{"7.2.2 text in place of DEFLATE", []step{packed(frame(opText, `"Hello"`))}, 1007},
			{"7.2.2 a block cut short", []step{packed(frame(opBinary, "\x00\x05\x00\xfa\xff\x48\x65"))}, 1007},
			{"7.2.3.2 a context that was not agreed on", []step{packed(frame(opBinary, "\xf2\x48\xcd\xc9\xc9\x07\x00")), packed(frame(opBinary, "\xf2\x00\x11\x00\x00"))}, 1007},
			{"8.1 text that is no UTF-8", []step{packed(frame(opText, deflated(t, "\"\xff\"")))}, 1007},
			{"8.1 text that ends within a character", []step{packed(frame(opText, deflated(t, "\"\xe2\x82")))}, 1007},
			{"10.4 one byte above the limit", []step{packed(frame(opBinary, deflated(t, strings.Repeat("x", limit+1))))}, 1009},
			{"10.4 a bomb of 50 MB", []step{packed(frame(opBinary, deflated(t, strings.Repeat("\x00", 50_000_000))))}, 1009},
			{"10.4 a bomb in fragments", []step{packed(more(opText, deflated(t, strings.Repeat("x", 5_000_000)))), frame(opContinuation, "")}, 1009},
			{"10.4 above the limit also when it is compressed", []step{packed(frame(opBinary, deflated(t, noise(2*limit))))}, 1009},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := connect(t, anyOffer, tt.steps...)
				name := kanava.CloseCode(tt.code).String() + ": "
				r.wantClosed(t, tt.code, name)
				server.wantEnd(t, tt.code, name)
			})
		}
	})
}

// What autobahn's server compresses, our side for clients decompresses.
func TestForeignServerCompresses(t *testing.T) {
	server, first := startPeer(t, "server")
	var listening struct{ Port int }
	if err := json.Unmarshal(first, &listening); err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	var dialer gobwas.Dialer
	dialer.Extensions = append(dialer.Extensions, wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}.Option())
	for _, size := range []int{4, 100, 1000, 65536, limit} {
		for _, fragment := range []int{0, 100} {
			t.Run(fmt.Sprintf("7.2 %d bytes in fragments of %d", size, fragment), func(t *testing.T) {
				steps := []step{message(jsonText(size), false, fragment), message(noise(size), true, fragment), message(jsonText(size), false, fragment)}
				c, hs := dial(t, listening.Port, foreignCase{Steps: steps}, dialer)
				if len(hs.Extensions) != 1 || string(hs.Extensions[0].Name) != "permessage-deflate" {
					t.Fatalf("agreed on %v", hs.Extensions)
				}
				c.parser.Inflate()
				check(t, c.read(3))
				c.wantGot(t, text(jsonText(size)), binary(noise(size)), text(jsonText(size)))
				check(t, c.leave(1000, ""))
				server.report(t).wantClosed(t, 1000, "")
			})
		}
	}
	for _, tt := range []broken{
		{"6.1 a compressed ping", []step{packed(frame(opPing, ""))}, 1002},
		{"7.2.2 no DEFLATE", []step{packed(frame(opBinary, "\xff\xff\xff\xff"))}, 1007},
		{"8.1 text that is no UTF-8", []step{packed(frame(opText, deflated(t, "\"\xff\"")))}, 1007},
		{"10.4 a bomb of 50 MB", []step{packed(frame(opBinary, deflated(t, strings.Repeat("\x00", 50_000_000))))}, 1009},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := dial(t, listening.Port, foreignCase{Steps: tt.steps}, dialer)
			c.parser.Inflate()
			check(t, c.read(100))
			if int(c.end.code) != tt.code {
				t.Errorf("we found %d %q, want %d", c.end.code, c.end.reason, tt.code)
			}
			server.report(t).wantClosed(t, tt.code, c.end.reason)
		})
	}
}
