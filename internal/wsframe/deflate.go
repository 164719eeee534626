package wsframe

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Messages are compressed as permessage-deflate says (RFC 7692 section 7), each
// by itself: without context takeover. Then nothing has to be kept between two
// messages, and one compressed message is right for every connection.

// flushed is how a DEFLATE stream ends that is flushed and not finished. It is
// left out of the payload (RFC 7692 section 7.2.1).
const flushed = "\x00\x00\xff\xff"

// MaxLevel is the highest level of NewDeflate.
const MaxLevel = flate.BestCompression

// Deflate appends the payload of a compressed message with the content src to
// dst. If that is not smaller than src it appends nothing and reports false. It
// is safe for concurrent use, and no match reaches back farther than src is
// long.
type Deflate func(dst, src []byte) (out []byte, smaller bool)

// NewDeflate returns the Deflate of a level: 1 is the fastest, MaxLevel makes the
// smallest messages. Level 0 is about as fast as 1 and as thorough, and needs
// 0.3 MB while it runs, the others 0.8 to 1.4 MB.
func NewDeflate(level int) Deflate {
	if level == 0 {
		return func(dst, src []byte) ([]byte, bool) {
			w := appenders.Get().(*appender)
			defer w.free()
			w.data = dst
			err := flate.StatelessDeflate(w, src, false, nil)
			return w.payload(len(dst), len(src), err)
		}
	}
	type writer struct {
		appender
		*flate.Writer
	}
	pool := sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, level)
		if err != nil {
			panic(err) // the level
		}
		return &writer{Writer: w}
	}}
	return func(dst, src []byte) ([]byte, bool) {
		w := pool.Get().(*writer)
		defer func() { w.data = nil; pool.Put(w) }()
		w.data = dst
		w.Reset(&w.appender)
		_, err := w.Writer.Write(src)
		if err == nil {
			err = w.Flush()
		}
		return w.payload(len(dst), len(src), err)
	}
}

// appender is an io.Writer that appends to data.
type appender struct{ data []byte }

var appenders = sync.Pool{New: func() any { return new(appender) }}

func (a *appender) Write(p []byte) (int, error) {
	a.data = append(a.data, p...)
	return len(p), nil
}

func (a *appender) free() {
	a.data = nil
	appenders.Put(a)
}

// payload returns what a Deflate returns that has written behind the first had
// bytes of data what it made of n bytes.
func (a *appender) payload(had, n int, err error) ([]byte, bool) {
	out, whole := bytes.CutSuffix(a.data, []byte(flushed))
	if err != nil || !whole || len(out)-had >= n {
		return a.data[:had], false
	}
	return out, true
}

// finish is what a reader is given behind a payload: what the payload leaves
// out, and an empty last block, so that the end of the stream is seen.
const finish = flushed + "\x01\x00\x00\xff\xff"

// inflater decompresses one message at a time.
type inflater struct {
	in   bytes.Reader
	r    io.ReadCloser // reads from in
	more [1]byte       // for what is beyond the limit
}

var inflaters = sync.Pool{New: func() any {
	z := new(inflater)
	z.r = flate.NewReader(&z.in)
	return z
}}

// inflate returns the content of a compressed message. It stops as soon as that
// is larger than limit, and uses no memory beyond that. src is the payload, with
// finish behind it.
func inflate(src []byte, limit int) (*buffer, *Error) {
	z := inflaters.Get().(*inflater)
	defer func() { z.in.Reset(nil); inflaters.Put(z) }()
	z.in.Reset(src)
	out := borrow(min(limit, 4*len(src)))
	for {
		// What follows a last block is a stream of its own: RFC 7692 section
		// 7.2.3.4 shows why a sender would end one so.
		if err := z.r.(flate.Resetter).Reset(&z.in, nil); err != nil {
			out.giveBack()
			return nil, errDeflate
		}
		var e *Error
		if out, e = z.read(out, limit); e != nil {
			out.giveBack()
			return nil, e
		}
		switch z.in.Len() {
		case 0, // the last block is that of finish
			len(finish) - len(flushed), // it is the sender's: an empty one, without its last bytes
			len(finish):                // it is the sender's, whole
			return out, nil
		}
	}
}

// read appends one stream to out, which holds at most limit bytes.
func (z *inflater) read(out *buffer, limit int) (*buffer, *Error) {
	for {
		room := out.data[len(out.data):min(cap(out.data), limit)]
		switch {
		case out.len() == limit:
			room = z.more[:]
		case len(room) == 0:
			out = out.moved(2 * out.len())
			continue
		}
		n, err := z.r.Read(room)
		if n > 0 && out.len() == limit {
			return out, errTooBig
		}
		out.data = out.data[:out.len()+n]
		switch {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, errDeflate
		}
	}
}
