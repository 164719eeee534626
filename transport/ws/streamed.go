package ws

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// streamed is the wire of any net.Conn: a goroutine reads, and another writes
// while there is something to write.
type streamed struct {
	*conn
	nc     net.Conn
	timer  *time.Timer // runs tick
	expiry time.Time   // belongs to the writer: the write deadline of the socket
}

// stream begins a connection whose link has opened. rest is what the client has
// sent already.
func (c *conn) stream(nc net.Conn, l link, rest []byte) {
	s := &streamed{conn: c, nc: nc}
	c.mu.Lock()
	s.timer = time.AfterFunc(c.h.o.Ping, c.tick)
	c.streamed = s
	c.mu.Unlock()
	c.open(l)
	go s.read(rest)
	if !c.writing.CompareAndSwap(running, idle) {
		s.startWriter()
	}
}

func (s *streamed) startWriter() {
	go func() {
		out := batches.Get().(*batch)
		defer out.free()
		s.write(out)
	}()
}

func (s *streamed) startReader() {
	go func() { // ends at once, or becomes the reader
		if rest, ok := s.takeOver(); ok {
			s.read(rest)
		}
	}()
}

func (s *streamed) after(d time.Duration) { s.timer.Reset(d) }

func (s *streamed) closeWrite() {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (s *streamed) close(hard bool) {
	s.timer.Stop()
	nc := s.nc
	if hard {
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn() // closing the tls.Conn would wait to write an alert
		}
		if t, ok := nc.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // the worst is that the kernel tries on for a while
		}
	}
	_ = nc.Close() // nothing is left to be done about it
}

func (s *streamed) inline() int {
	switch s.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return smallPayload
	}
	return tlsRecord
}

// readBuffers holds the buffers that readers wait with. They are small because
// every idle connection has one.
var readBuffers = sync.Pool{New: func() any { return new([2 << 10]byte) }}

// read is the reader: it handles rest and then what comes from the socket. It
// ends with the connection, or when the client has closed it, or when the link
// is full; then unpark starts another one.
func (s *streamed) read(rest []byte) {
	s.heardNow()
	if len(rest) > 0 && !s.take(rest) {
		return
	}
	buf := readBuffers.Get().(*[2 << 10]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := s.nc.Read(buf[:])
		if n > 0 {
			s.heardNow()
			if !s.take(buf[:n]) {
				return
			}
		}
		if err != nil {
			s.lost(err)
			return
		}
	}
}

// take is arrived, with a goroutine for the messages.
func (s *streamed) take(data []byte) (more bool) {
	more, work := s.arrived(data)
	if work {
		go s.link.Work(nil)
	}
	return more
}

// send blocks until the client has taken the batch, or took nothing for
// WriteStall, or the connection has ended.
func (s *streamed) send(out *batch, _ bool) error {
	if t, ok := s.nc.(*tls.Conn); ok {
		return s.sendTLS(t, out)
	}
	step := s.step()
	now := time.Now()
	progress := now
	for {
		// Setting the deadline costs more than finding that it is good enough.
		if s.expiry.Sub(now) < step/2 {
			s.expiry = now.Add(step)
			if err := s.nc.SetWriteDeadline(s.expiry); err != nil {
				return err
			}
		}
		n, err := out.writeTo(s.nc)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if now = time.Now(); n > 0 {
			progress = now
		}
		if now.Sub(progress) >= s.h.o.WriteStall {
			return errStalled
		}
		s.lookUp()
	}
}

// sendTLS is send for a connection that a write which timed out leaves broken.
// So each record has to be taken within WriteStall.
func (s *streamed) sendTLS(t *tls.Conn, out *batch) error {
	done := make(chan struct{})
	defer close(done)
	timer := time.AfterFunc(s.step(), func() { // ends with this call
		for {
			s.lookUp()
			select {
			case <-time.After(s.step()):
			case <-done:
				return
			}
		}
	})
	defer timer.Stop()
	for _, b := range out.todo {
		for len(b) > 0 {
			n := min(len(b), tlsRecord)
			if err := t.SetWriteDeadline(time.Now().Add(s.h.o.WriteStall)); err != nil {
				return err
			}
			_, err := t.Write(b[:n])
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				return errStalled
			case err != nil:
				return err
			}
			b = b[n:]
		}
	}
	return nil
}

// writeTo writes what is left of todo. After an error it can go on.
func (b *batch) writeTo(nc net.Conn) (int64, error) {
	if len(b.todo) > 1 {
		return b.todo.WriteTo(nc) // takes from todo what is written
	}
	n, err := nc.Write(b.todo[0])
	b.todo[0] = b.todo[0][n:]
	return int64(n), err
}
