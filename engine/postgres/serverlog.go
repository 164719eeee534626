package postgres

import (
	"fmt"
	"sync"
)

// serverLog is how far the log of the server was on its disk when an engine has
// looked last. One that is shorter later has lost something: a copy of the data
// from before has taken its place, or the disk has not kept what it said it had.
type serverLog struct {
	mu   sync.Mutex
	most uint64 // guarded by mu
}

// seen returns what is to be compared with, nil if nothing was seen.
func (l *serverLog) seen() *string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most == 0 {
		return nil
	}
	text := fmt.Sprintf("%X/%X", l.most>>32, uint32(l.most))
	return &text
}

// entered notes what a server has said that was told what seen had returned: where
// that is less, other epochs have begun, and the count begins there.
func (l *serverLog) entered(seen, at *string) {
	was, is := parseLSN(seen), parseLSN(at)
	l.mu.Lock()
	defer l.mu.Unlock()
	if is > 0 && (l.most == was && is < was || is > l.most) {
		l.most = is
	}
}

func parseLSN(text *string) uint64 {
	var high, low uint32
	if text == nil {
		return 0
	}
	if _, err := fmt.Sscanf(*text, "%X/%X", &high, &low); err != nil {
		return 0
	}
	return uint64(high)<<32 | uint64(low)
}
