package ws

import (
	"bytes"
	"net/http"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// negotiate agrees with the client on compression, if that is on.
func (h *handler) negotiate(r *http.Request) (wsframe.Compression, *refusal) {
	if h.deflate == nil {
		return wsframe.Compression{}, nil
	}
	agreed, err := wsframe.Negotiate(r.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return agreed, refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "%v", err)
	}
	return agreed, nil
}

// add moves the frame to out, compressed if that was agreed on and makes it
// smaller.
func (c *conn) add(out *batch, f kanava.Frame, inline int) {
	payload, rsv := f.Data, byte(0)
	if n := len(payload); c.h.o.CompressMin <= n && n <= int(c.packed) {
		var p []byte
		if f.Shared != nil {
			p = f.Shared.Deflated(func() []byte { return bytes.Clone(out.pack(c.h.deflate, payload)) })
		} else {
			p = out.pack(c.h.deflate, payload)
			inline = max(inline, len(p)) // out.packed is used again
		}
		if p != nil {
			payload, rsv = p, wsframe.Rsv1
			out.odd = true
		}
	}
	out.add(f.Binary, rsv, payload, inline)
}

// pack compresses data, and returns nil if that does not make it smaller. The
// result is valid until the next call.
func (b *batch) pack(deflate wsframe.Deflate, data []byte) []byte {
	p, smaller := deflate(b.packed[:0], data)
	b.packed = p
	if !smaller {
		return nil
	}
	return p
}
