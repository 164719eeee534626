package wsframe

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/kanava-go/kanava/internal/httptoken"
)

// Compression is what a server agrees on with a client (RFC 7692 section 7.1).
// The zero value is that nothing is compressed.
type Compression struct {
	// Answer is the value of Sec-WebSocket-Extensions in the response.
	Answer string
	// Largest is the size of the largest message that the server may compress:
	// the client keeps no more to look back at.
	Largest int
}

var errExtensions = errors.New("Sec-WebSocket-Extensions is malformed")

// Negotiate takes the first offer of permessage-deflate that a server can
// accept, of the fields Sec-WebSocket-Extensions of a request. Neither side
// keeps its context from message to message, whatever the client offers: a
// server may ask for that always (RFC 7692 sections 7.1.1.1 and 7.1.1.2). If
// there is no such offer the result is the zero value. It is an error if the
// fields are not what RFC 6455 section 9.1 describes.
func Negotiate(fields []string) (Compression, error) {
	list := scanner{strings.Join(fields, ",")}
	var agreed Compression
	for {
		if name := list.token(); name != "" { // elements may be empty
			o := offer{good: name == "permessage-deflate"}
			for list.take(';') {
				p, ok := list.parameter()
				if !ok {
					return Compression{}, errExtensions
				}
				o.add(p)
			}
			if o.good && agreed.Answer == "" {
				agreed = o.answer()
			}
		}
		switch {
		case list.s == "":
			return agreed, nil
		case !list.take(','):
			return Compression{}, errExtensions
		}
	}
}

// offer is one offer of permessage-deflate.
type offer struct {
	good bool            // as far as it was read
	seen map[string]bool // its parameters
	bits string          // server_max_window_bits; "" for none
}

// parameter is a parameter of an extension.
type parameter struct {
	name, value string
	valued      bool
}

// add declines the offer if p is none of those of RFC 7692 section 7.1, has
// not a value that it should have, or came before.
func (o *offer) add(p parameter) {
	switch p.name {
	case "server_no_context_takeover", "client_no_context_takeover":
		o.good = o.good && !p.valued
	case "client_max_window_bits": // says that we might ask for less, and we do not
		o.good = o.good && (!p.valued || windowBits(p.value) > 0)
	case "server_max_window_bits":
		o.good = o.good && p.valued && windowBits(p.value) > 0
		o.bits = p.value
	default:
		o.good = false
	}
	if o.good = o.good && !o.seen[p.name]; o.good {
		if o.seen == nil {
			o.seen = make(map[string]bool)
		}
		o.seen[p.name] = true
	}
}

func (o *offer) answer() Compression {
	c := Compression{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", math.MaxInt}
	if o.bits != "" {
		c.Answer += "; server_max_window_bits=" + o.bits
		if n := windowBits(o.bits); n < 15 { // with 15, DEFLATE itself reaches back no farther
			c.Largest = 1 << n
		}
	}
	return c
}

// windowBits returns a number from 8 to 15, written without leading zeros, and
// 0 for anything else.
func windowBits(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 8 || n > 15 || s != strconv.Itoa(n) {
		return 0
	}
	return n
}

// scanner holds what is left of a list of extensions, as RFC 6455 section 9.1
// describes it.
type scanner struct{ s string }

// token takes a token and the white space around it, and returns "" if there is
// none.
func (x *scanner) token() string {
	x.s = strings.TrimLeft(x.s, " \t")
	n := 0
	for n < len(x.s) && httptoken.IsByte(x.s[n]) {
		n++
	}
	t := x.s[:n]
	x.s = strings.TrimLeft(x.s[n:], " \t")
	return t
}

// take takes the byte c, if that is next.
func (x *scanner) take(c byte) bool {
	if x.s == "" || x.s[0] != c {
		return false
	}
	x.s = x.s[1:]
	return true
}

// parameter takes a parameter. A value in quotes has to be a token as well.
func (x *scanner) parameter() (p parameter, ok bool) {
	if p.name = x.token(); p.name == "" || !x.take('=') {
		return p, p.name != ""
	}
	p.valued = true
	if p.value = x.token(); p.value == "" && x.take('"') {
		p.value = x.quoted()
	}
	return p, p.value != ""
}

// quoted takes what is left of a quoted string (RFC 9110 section 5.6.4), and
// returns "" if that does not end, or is not a token.
func (x *scanner) quoted() string {
	var text []byte
	for x.s != "" {
		c := x.s[0]
		if x.s = x.s[1:]; c == '"' {
			x.s = strings.TrimLeft(x.s, " \t")
			return string(text)
		}
		if c == '\\' && x.s != "" {
			c, x.s = x.s[0], x.s[1:]
		}
		if !httptoken.IsByte(c) {
			return ""
		}
		text = append(text, c)
	}
	return ""
}
