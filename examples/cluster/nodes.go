package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// This file starts, watches and ends the processes of the nodes.

// nodes are those of the cluster.
type nodes struct {
	dir string
	all []*node
}

// node is a process, or what there is to start one.
type node struct {
	name   string
	config nodeConfig

	mu      sync.Mutex
	cmd     *exec.Cmd     // guarded by mu; nil while it is down, as are the two below
	in      io.Closer     // its end is the end of the process
	ended   chan struct{} // closed when the process has ended
	ready   bool          // guarded by mu
	since   time.Time     // guarded by mu: when it went up or down
	stopped bool          // guarded by mu: it is not started any more
}

// nodeState is what the page shows of a node.
type nodeState struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // "up", "starting", "down"
	PID   int       `json:"pid,omitempty"`
	Since time.Time `json:"since"`
}

func newNodes(names []string) (*nodes, error) {
	dir, err := os.MkdirTemp("", "kanava-cluster-")
	if err != nil {
		return nil, err
	}
	ns := &nodes{dir: dir}
	free, err := freeAddresses(2 * len(names))
	if err != nil {
		return nil, err
	}
	secret := rand.Text()
	peers := free[len(names):]
	for i, name := range names {
		ns.all = append(ns.all, &node{name: name, since: time.Now(), config: nodeConfig{
			Web: free[i], Nats: peers[i], Peers: peers, Secret: secret, Dir: filepath.Join(dir, name),
		}})
	}
	return ns, nil
}

// freeAddresses returns addresses on which nobody listens. They are below those
// that systems hand out by themselves, so a node that was killed finds its own
// again. Somebody else may take one before a node does, which then says so.
func freeAddresses(n int) (free []string, err error) {
	const lowest, highest = 10_000, 32_767
	for port := lowest + os.Getpid()%10_000; port <= highest; port++ {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		defer ln.Close()
		if free = append(free, ln.Addr().String()); len(free) == n {
			return free, nil
		}
	}
	return nil, fmt.Errorf("there are no %d free ports below %d", n, highest)
}

// start starts all, and returns when they are ready.
func (ns *nodes) start(ctx context.Context) error {
	for _, n := range ns.all {
		if err := n.start(); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		ready := 0
		for _, n := range ns.all {
			switch s := n.state(); s.State {
			case "up":
				ready++
			case "down":
				return fmt.Errorf("node %s has ended", n.name)
			}
		}
		if ready == len(ns.all) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the nodes were not ready within a minute")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends all in good order, and removes what they have kept.
func (ns *nodes) stop() {
	var all sync.WaitGroup
	for _, n := range ns.all {
		all.Go(n.stop)
	}
	all.Wait()
	_ = os.RemoveAll(ns.dir) // what is left is in the directory for temporary files
}

// named returns a node, nil if there is none with this name.
func (ns *nodes) named(name string) *node {
	for _, n := range ns.all {
		if n.name == name {
			return n
		}
	}
	return nil
}

// start starts the process, if there is none.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil || n.stopped {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program) //nolint:gosec,noctx // this program; stop ends it
	cmd.Env = append(os.Environ(), nodeVariable+"="+n.name)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd, n.in, n.ended, n.ready, n.since = cmd, in, make(chan struct{}), false, time.Now()
	go n.watch(cmd, n.ended)
	return json.NewEncoder(in).Encode(n.config) //nolint:gosec // the secret goes to the process that needs it, by a pipe
}

// watch notes when the process is ready, and when it ends.
func (n *node) watch(cmd *exec.Cmd, ended chan struct{}) {
	go func() {
		client := &http.Client{Timeout: time.Second}
		for {
			if res, err := client.Get("http://" + n.config.Web + "/ready"); err == nil { //nolint:noctx // the client has a timeout
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					n.mu.Lock()
					if n.cmd == cmd {
						n.ready, n.since = true, time.Now()
					}
					n.mu.Unlock()
					return
				}
			}
			select {
			case <-ended:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	_ = cmd.Wait() // how it ended is no news: it was killed, or has said why
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.in, n.ready, n.since = nil, nil, false, time.Now()
	close(ended)
}

// kill ends the process at once, without a word.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Kill() // it may have ended
	}
}

// stop ends the process in good order, and lets nobody start it again.
func (n *node) stop() {
	n.mu.Lock()
	n.stopped = true
	cmd, in, ended := n.cmd, n.in, n.ended
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	in.Close()
	select {
	case <-ended:
	case <-time.After(12 * time.Second):
		n.kill()
		<-ended
	}
}

func (n *node) state() nodeState {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := nodeState{Name: n.name, State: "down", Since: n.since}
	if n.cmd != nil {
		s.State, s.PID = "starting", n.cmd.Process.Pid
		if n.ready {
			s.State = "up"
		}
	}
	return s
}
