package ws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"math"
	"net/http"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// ServeHTTP is the server's side of the opening handshake (RFC 6455 section
// 4.2).
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isUpgrade(r) {
		h.serveOther(w, r)
		return
	}
	u, bad := h.upgradeOf(r)
	if bad != nil {
		if r.ContentLength != 0 { // net/http would read the body first, however slowly it comes
			_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		}
		bad.write(w)
		return
	}
	if err := u.open(r.Context()); err != nil {
		httperr.Write(w, err)
		return
	}
	l, begun := u.link, false
	defer func() {
		if !begun {
			l.Disconnect(kanava.CloseAbnormal, "")
		}
	}()
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		httperr.Write(w, kanava.Errorf(kanava.CodeInternal,
			"this server cannot upgrade connections: a handler around this one hides the http.Hijacker of its http.ResponseWriter"))
		return
	}
	_ = nc.SetDeadline(time.Time{}) // of the http.Server; a broken socket shows at the next write
	_ = nc.SetWriteDeadline(time.Now().Add(l.Limits().OpenTime))
	if _, err := nc.Write(u.response(w.Header())); err != nil {
		_ = nc.Close()
		return
	}
	begun = true
	u.conn.begin(nc, l, unread(rw))
}

// upgrade is a handshake in which nothing is wrong.
type upgrade struct {
	h          *handler
	req        *kanava.OpenRequest
	accept     string
	extensions string
	packed     int // see conn
	conn       *conn
	link       *kanava.Link // of conn; set by open, as that is
}

func (h *handler) upgradeOf(r *http.Request) (*upgrade, *refusal) {
	accept, bad := checkUpgrade(r)
	if bad != nil {
		return nil, bad
	}
	req, err := openrequest.WebSocket(r)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, err: err}
	}
	agreed, bad := h.negotiate(r)
	if bad != nil {
		return nil, bad
	}
	req.Ping = h.o.Ping
	return &upgrade{h: h, req: req, accept: accept, extensions: agreed.Answer, packed: agreed.Largest}, nil
}

// open opens the channel. It may block.
func (u *upgrade) open(ctx context.Context) (err error) {
	u.conn = newConn(u.h)
	u.conn.packed = int32(min(u.packed, math.MaxInt32))
	u.link, err = u.h.d.Open(ctx, u.req, u.conn)
	return err
}

// response returns what the client is answered then, with these fields besides.
func (u *upgrade) response(header http.Header) []byte {
	return switching(header, u.accept, u.link.Subprotocol(), u.extensions)
}

// serveOther answers what is not an upgrade.
func (h *handler) serveOther(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-Websocket-Key") != ""
	switch {
	case r.ProtoMajor > 1 && (key || r.Method == http.MethodConnect): // RFC 8441
		refuse(http.StatusHTTPVersionNotSupported, kanava.CodeUnimplemented, "WebSocket connections need HTTP/1.1 here, not %s", r.Proto).write(w)
		return
	case h.o.Fallback != nil:
		h.o.Fallback.ServeHTTP(w, r)
		return
	}
	if r.ProtoMajor == 1 { // HTTP/2 has no such field
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
	}
	text := "this address is for WebSocket connections"
	if key {
		text += "; the request has no Upgrade field any more, probably because of a proxy"
	}
	refuse(http.StatusUpgradeRequired, kanava.CodeFailedPrecondition, "%s", text).write(w)
}

// isUpgrade reports whether the client asks for a WebSocket connection.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && openrequest.ListHas(r.Header["Connection"], "upgrade") && openrequest.ListHas(r.Header["Upgrade"], "websocket")
}

// refusal is the answer to a faulty handshake.
type refusal struct {
	status       int
	field, value string // of the header; "" for none
	err          *kanava.Error
}

func refuse(status int, code kanava.Code, format string, args ...any) *refusal {
	return &refusal{status: status, err: kanava.Errorf(code, format, args...)}
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.field != "" {
		w.Header().Set(f.field, f.value)
	}
	httperr.WriteStatus(w, f.status, f.err)
}

// checkUpgrade applies the rules of RFC 6455 section 4.2.1, and returns the
// value that accepts the client's key.
func checkUpgrade(r *http.Request) (accept string, bad *refusal) {
	keys := r.Header["Sec-Websocket-Key"]
	version := r.Header["Sec-Websocket-Version"]
	switch {
	case r.Method != http.MethodGet:
		bad = refuse(http.StatusMethodNotAllowed, kanava.CodeInvalidArgument, "a WebSocket upgrade is a GET request")
		bad.field, bad.value = "Allow", http.MethodGet
	case !r.ProtoAtLeast(1, 1):
		bad = refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "a WebSocket upgrade needs HTTP/1.1, not %s", r.Proto)
	case r.ContentLength != 0:
		bad = refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "a WebSocket upgrade has no body")
	case len(version) != 1 || version[0] != "13":
		bad = refuse(http.StatusUpgradeRequired, kanava.CodeFailedPrecondition, "Sec-WebSocket-Version must be 13")
		bad.field, bad.value = "Sec-WebSocket-Version", "13"
	case len(keys) != 1 || !validKey(keys[0]):
		bad = refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "Sec-WebSocket-Key must be 16 bytes in base64")
	default:
		sum := sha1.Sum([]byte(keys[0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // section 1.3
		accept = base64.StdEncoding.EncodeToString(sum[:])
	}
	return accept, bad
}

func validKey(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

// ours are the fields of the response that nobody else sets.
var ours = map[string]bool{
	"Upgrade":                  true,
	"Connection":               true,
	"Sec-Websocket-Accept":     true,
	"Sec-Websocket-Protocol":   true,
	"Sec-Websocket-Extensions": true,
	"Content-Length":           true,
	"Content-Type":             true,
	"Transfer-Encoding":        true,
}

// switching returns the response that opens the connection (RFC 6455 section
// 4.2.2).
func switching(header http.Header, accept, subprotocol, extensions string) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(accept)
	b.WriteString("\r\n")
	if subprotocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + subprotocol + "\r\n")
	}
	if extensions != "" {
		b.WriteString("Sec-WebSocket-Extensions: " + extensions + "\r\n")
	}
	_ = header.WriteSubset(&b, ours) // a bytes.Buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// unread returns a copy of what the server has read beyond the request.
func unread(rw *bufio.ReadWriter) []byte {
	if rw == nil || rw.Reader.Buffered() == 0 {
		return nil
	}
	b, _ := rw.Reader.Peek(rw.Reader.Buffered())
	return bytes.Clone(b)
}

// Every connection that a handler opens is one of these from the start, so
// that the core can already wake it while it is being opened.
var _ kanava.Peer = (*conn)(nil)
