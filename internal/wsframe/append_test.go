package wsframe

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// The headers are byte for byte those of gobwas/ws.
func TestAppendHeader(t *testing.T) {
	for _, n := range []int64{0, 1, 125, 126, 127, 65535, 65536, 1 << 40} {
		for _, masked := range []bool{false, true} {
			h := ws.Header{Fin: n%2 == 0, Rsv: byte(n % 8), OpCode: ws.OpBinary, Masked: masked, Length: n}
			if masked {
				h.Mask = testMask
			}
			var want bytes.Buffer
			if err := ws.WriteHeader(&want, h); err != nil {
				t.Fatal(err)
			}
			if got := AppendHeader(nil, h); !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%+v: % x, want % x", h, got, want.Bytes())
			}
		}
	}
}

// What AppendClient writes a server understands, and the payload is unchanged.
func TestAppendClient(t *testing.T) {
	payload := []byte("hello")
	out := AppendClient([]byte("x"), ws.OpText, testMask, payload)
	p := NewParser(Server, 100)
	if got := parse(&p, out[1:]); len(got.Messages) != 1 || string(got.Messages[0].Data) != "hello" {
		t.Errorf("got %+v", got)
	}
	if string(payload) != "hello" {
		t.Errorf("payload became %q", payload)
	}
}

func TestCloseBody(t *testing.T) {
	tests := []struct {
		proves       string
		code         ws.StatusCode
		reason       string
		wantCode     ws.StatusCode
		wantReason   string
		wantBodySize int
	}{
		{"code and reason", 4409, "slow_consumer", 4409, "slow_consumer", 15},
		{"a long reason is cut at the end of a character", 1000, strings.Repeat("€", 42), 1000, strings.Repeat("€", 41), 125},
		{"a code that may not be sent is left out", 1005, "x", 1005, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			body := AppendCloseBody(nil, tt.code, tt.reason)
			code, reason := ParseClose(body)
			if code != tt.wantCode || reason != tt.wantReason || len(body) != tt.wantBodySize || !utf8.ValidString(reason) {
				t.Errorf("%d %q in %d bytes", code, reason, len(body))
			}
		})
	}
}
