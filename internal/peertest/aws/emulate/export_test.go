package emulate

import (
	"bytes"
	"fmt"
	"os"
)

// Processes returns the ids of the processes that there are.
func (l *Lambda) Processes() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []int
	for _, p := range l.all {
		ids = append(ids, p.cmd.Process.Pid)
	}
	return ids
}

// Still returns how many processes stand still; only Linux can say.
func (l *Lambda) Still() (still int) {
	for _, id := range l.Processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err == nil && bytes.Contains(stat, []byte(") T ")) {
			still++
		}
	}
	return still
}
