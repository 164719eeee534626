package emulate

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// most is how many bytes of what a program says are kept: the last ones.
const most = 256 << 10

// transcript keeps the end of what programs write. Any number of them may write
// at once.
type transcript struct {
	mu    sync.Mutex // guards text and again
	text  []byte
	again chan struct{} // closed at the next write; nil while nobody waits
}

// Write keeps what a program has written. It never fails.
func (tr *transcript) Write(part []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.text = append(tr.text, part...)
	if over := len(tr.text) - most; over > 0 {
		tr.text = append(tr.text[:0], tr.text[over:]...)
	}
	if tr.again != nil {
		close(tr.again)
		tr.again = nil
	}
	return len(part), nil
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return string(tr.text)
}

// until waits until each of these texts has been written.
func (tr *transcript) until(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		for {
			again, there := tr.look(text)
			if there {
				break
			}
			select {
			case <-again:
			case <-ctx.Done():
				return fmt.Errorf("wait for %q: %w", text, context.Cause(ctx))
			}
		}
	}
	return nil
}

// look tells if a text is there, and what is closed when to look again.
func (tr *transcript) look(text string) (again <-chan struct{}, there bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.again == nil {
		tr.again = make(chan struct{})
	}
	return tr.again, bytes.Contains(tr.text, []byte(text))
}
