package dynamodb

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

const (
	inlineMost = 1536      // bytes of an event that stand in its batch
	chunkBytes = 350 << 10 // of a body in one item
	bodyMost   = 16 << 20
)

const bodyData = "d"

// bodyOf is what of an event may be too long for its batch.
func bodyOf(n *entry) []byte {
	return append(appendText(make([]byte, 0, 5+len(n.except)+len(n.data)), n.except), n.data...)
}

// putBody writes what is too long for a batch into items of its own, and leaves
// their name in the entry.
func (t table) putBody(ctx context.Context, n *entry, lasts time.Duration) error {
	body, name := bodyOf(n), make([]byte, bodyLen)
	rand.Read(name) // does not fail
	ends := numberOf(endOf(time.Now().Add(lasts + time.Minute)))
	chunks := (len(body) + chunkBytes - 1) / chunkBytes
	err := atOnce(ctx, chunks, func(ctx context.Context, i int) error {
		it := chunkKey(string(name), i)
		it[bodyData], it[ending] = binaryOf(body[i*chunkBytes:min(len(body), (i+1)*chunkBytes)]), ends
		_, err := t.put(ctx, it, condition{})
		return err
	})
	if err != nil {
		return err
	}
	n.body, n.size = string(name), len(body)
	n.except, n.data = "", nil
	return nil
}

func chunkKey(name string, i int) item {
	return key(kindBody+name, string(binary.BigEndian.AppendUint16(nil, uint16(i))))
}

// readBodies reads what entries have not with them, and leaves out those of which it
// has ended.
func (t table) readBodies(ctx context.Context, of []located) ([]located, error) {
	var keys []item
	bodies := make(map[string][]byte)
	for i := range of {
		n := &of[i].entry
		if n.body == "" || n.size > bodyMost || bodies[n.body] != nil {
			continue
		}
		bodies[n.body] = make([]byte, n.size)
		for c := range (n.size + chunkBytes - 1) / chunkBytes {
			keys = append(keys, chunkKey(n.body, c))
		}
	}
	if len(keys) == 0 {
		return of, nil
	}
	var mu sync.Mutex
	came := make(map[string]int) // bytes, by body
	err := t.getAll(ctx, keys, func(it item) error {
		mu.Lock()
		defer mu.Unlock()
		name, i := string(bytesIn(it, partition)[len(kindBody):]), int(binary.BigEndian.Uint16(bytesIn(it, sorting)))
		if body := bodies[name]; i*chunkBytes <= len(body) {
			came[name] += copy(body[i*chunkBytes:], bytesIn(it, bodyData))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	whole := of[:0]
	for _, n := range of {
		if n.body != "" {
			body := bodies[n.body]
			r := reader{left: body}
			n.except = string(r.take(r.number()))
			n.data = r.left
			if len(body) == 0 || came[n.body] != len(body) || r.short {
				continue
			}
		}
		whole = append(whole, n)
	}
	return whole, nil
}

// located is an entry and its offset.
type located struct {
	entry

	offset uint64
}

// weight is how many bytes an event has, about.
func (n *entry) weight() int { return n.size + len(n.data) + len(n.except) + len(n.key) + 32 }
