package kanava

import "github.com/kanava-go/kanava/internal/bridge"

func init() {
	bridge.SetOpening = func(request, opening any) { request.(*OpenRequest).opening = opening }
	bridge.Idle = func(link any) bool {
		c := &link.(*Link).c
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.phase != phaseConnecting && c.running == 0 && !c.working && c.waiting.len() == 0 && c.out.isEmpty()
	}
}
