package kanava

import (
	"fmt"
	"path/filepath"
	"runtime"
)

// place is where something was wired: panics name it as "chat.go:35".
type place struct {
	file string
	line int
}

// callerPlace returns the place that called the exported function which calls
// callerPlace; skip leaves out more callers between.
func callerPlace(skip int) place {
	_, file, line, _ := runtime.Caller(skip + 2)
	return place{filepath.Base(file), line}
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }
