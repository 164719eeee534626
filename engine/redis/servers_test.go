package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/kanava-go/kanava/internal/testport"
)

// server is a redis-server process.
type server struct {
	tb     testing.TB
	addr   string
	dir    string
	args   []string
	cmd    *exec.Cmd
	output *bytes.Buffer
}

// redisServer returns where the program is. Without it a test has nothing to
// test, which is a failure where all engines are to be tested.
func redisServer(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"redis-server", "/usr/bin/redis-server", "/usr/local/bin/redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "redis-server is not installed (Debian: apt-get install redis-server): make engines needs it"
	if os.Getenv("KANAVA_ENGINES") == "all" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
	return ""
}

// newServer starts a server that ends with the test.
func newServer(tb testing.TB, args ...string) *server {
	tb.Helper()
	s := &server{tb: tb, addr: testport.Address(tb), dir: tb.TempDir()}
	s.args = append([]string{"--port", portOf(s.addr), "--bind", "127.0.0.1", "--dir", s.dir, "--save", ""}, args...)
	s.start()
	tb.Cleanup(s.kill)
	return s
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func (s *server) start() {
	s.tb.Helper()
	s.launch()
	s.wait()
}

// launch starts the process and does not wait for it.
func (s *server) launch() {
	s.tb.Helper()
	s.output = new(bytes.Buffer)
	s.cmd = exec.Command(redisServer(s.tb), s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
}

// wait waits until the server answers, and has loaded its data.
func (s *server) wait() {
	s.tb.Helper()
	s.eventually("a server that answers", func() bool {
		c, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(c, "PING\r\n")
		answer := make([]byte, 64)
		n, _ := c.Read(answer)
		return bytes.HasPrefix(answer[:n], []byte("+PONG")) || bytes.HasPrefix(answer[:n], []byte("-NOAUTH"))
	})
}

func (s *server) eventually(what string, is func() bool) {
	s.tb.Helper()
	late := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			s.tb.Fatalf("%s: no %s within 60 s", s.addr, what)
		}
	}
}

// kill ends the process as kill -9 does.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// wipe removes what the server has on disk. It is not running.
func (s *server) wipe() {
	s.tb.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "nodes") {
			continue // its place in the cluster
		}
		if err := os.RemoveAll(filepath.Join(s.dir, entry.Name())); err != nil {
			s.tb.Fatal(err)
		}
	}
}

// restart kills the server and starts it again.
func (s *server) restart(keepData bool) {
	s.tb.Helper()
	s.kill()
	if !keepData {
		s.wipe()
	}
	s.start()
}

// do sends a command and returns the answer as text.
func (s *server) do(args ...string) string {
	s.tb.Helper()
	answer, err := s.try(args...)
	if err != nil {
		s.tb.Fatalf("%s: %v: %v", s.addr, args, err)
	}
	return answer
}

func (s *server) try(args ...string) (string, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.addr}, ForceSingleClient: true, DisableCache: true, DisableRetry: true,
		Password: s.password(), PipelineMultiplex: -1,
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m, err := client.Do(ctx, client.B().Arbitrary(args...).Build()).ToMessage()
	if err != nil {
		return "", err
	}
	if text, err := m.ToString(); err == nil {
		return strings.TrimPrefix(text, "txt:"), nil
	}
	value, err := m.ToAny()
	return fmt.Sprint(value), err
}

func (s *server) password() string {
	for i, arg := range s.args {
		if arg == "--requirepass" {
			return s.args[i+1]
		}
	}
	return ""
}

// cluster is servers that share the slots, and replicas of them.
type cluster struct {
	masters, replicas []*server
}

// newCluster starts a cluster: the replica of each master has its index.
func newCluster(tb testing.TB, masters int, replicas bool, args ...string) *cluster {
	tb.Helper()
	n := masters
	if replicas {
		n *= 2
	}
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-replica-validity-factor", "0",
		"--repl-diskless-sync-delay", "0",
	}, args...)
	var all []*server
	var buses []string // the port at which each hears the others, by default 10,000 above its own
	for i := range n {
		buses = append(buses, strconv.Itoa(testport.Port(tb)))
		all = append(all, newServer(tb, append(args, "--cluster-port", buses[i])...))
	}
	c := &cluster{masters: all[:masters], replicas: all[masters:]}
	for i, s := range all {
		s.do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < masters {
			s.do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*16384/masters), strconv.Itoa((i+1)*16384/masters-1))
		}
		s.do("CLUSTER", "MEET", "127.0.0.1", portOf(all[0].addr), buses[0])
	}
	c.wait()
	for i, s := range c.replicas {
		id := c.masters[i].do("CLUSTER", "MYID")
		s.eventually("cluster that knows its master", func() bool {
			_, err := s.try("CLUSTER", "REPLICATE", id)
			return err == nil
		})
	}
	for _, s := range c.replicas {
		s.eventually("replica", func() bool {
			return strings.Contains(s.do("INFO", "replication"), "master_link_status:up")
		})
	}
	c.wait()
	return c
}

func (c *cluster) all() []*server { return append(append([]*server{}, c.masters...), c.replicas...) }

// wait waits until all servers agree that all is well.
func (c *cluster) wait() {
	for _, s := range c.all() {
		if s.cmd == nil {
			continue
		}
		s.eventually("cluster", func() bool {
			return strings.Contains(s.do("CLUSTER", "INFO"), "cluster_state:ok") &&
				!strings.Contains(s.do("CLUSTER", "NODES"), "handshake") &&
				strings.Count(s.do("CLUSTER", "NODES"), "\n") == len(c.all())
		})
	}
}

func (c *cluster) addrs() (addrs []string) {
	for _, s := range c.masters {
		addrs = append(addrs, s.addr)
	}
	return addrs
}

// stop makes the process do nothing, with its connections open.
func (s *server) stop() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// goOn undoes stop.
func (s *server) goOn() { s.cmd.Process.Signal(syscall.SIGCONT) }
