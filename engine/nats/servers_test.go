package nats_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/internal/testport"
)

var binaryDir string // set by TestMain

// natsServer is the program, built from the module that this one requires.
var natsServer = sync.OnceValues(func() (string, error) {
	dir := binaryDir
	path := filepath.Join(dir, "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "kanava-nats-server-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(binaryDir)
	os.Exit(code)
}

// process is a nats-server.
type process struct {
	tb      testing.TB
	name    string
	config  string // the path of text
	text    string
	dir     string // of its data
	address string // for clients
	cmd     *exec.Cmd
	output  *bytes.Buffer
}

// startServers starts servers, which are a cluster if there are several.
func startServers(tb testing.TB, n int, config string) []*process {
	tb.Helper()
	var peers, routes []string
	for range n {
		peer := testport.Address(tb)
		peers, routes = append(peers, peer), append(routes, "nats://"+peer)
	}
	servers := make([]*process, n)
	for i := range servers {
		p := &process{tb: tb, name: fmt.Sprintf("s%d", i), address: testport.Address(tb)}
		p.dir = filepath.Join(tb.TempDir(), "data")
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nmax_payload: 8MB\njetstream {store_dir: %q, max_mem: 1G, max_file: 4G}\n%s\n", p.name, p.address, p.dir, config)
		if n > 1 {
			text += fmt.Sprintf("cluster {name: test, listen: %q, no_advertise: true, routes: [%s]}\n", peers[i], strings.Join(routes, ","))
		}
		p.text = text
		p.config = filepath.Join(tb.TempDir(), "nats.conf")
		if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		servers[i] = p
		p.start()
		tb.Cleanup(p.kill)
	}
	for _, p := range servers {
		p.wait()
	}
	if n > 1 {
		meet(tb, servers)
	}
	return servers
}

// meet waits until each server passes on what clients of each other publish. One
// of them stays for the whole test on each server, as an engine would that is
// connected already: see reachAll.
func meet(tb testing.TB, servers []*process) {
	tb.Helper()
	came := make(chan *natsgo.Msg, 1000)
	var clients []*natsgo.Conn
	for i, p := range servers {
		nc, err := natsgo.Connect("nats://"+p.address, natsgo.MaxReconnects(-1))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(nc.Close)
		if _, err := nc.Subscribe("kanava.nodes", func(*natsgo.Msg) {}); err != nil {
			tb.Fatal(err)
		}
		hello, err := nc.ChanSubscribe(fmt.Sprintf("meet.%d.*", i), came)
		if err != nil {
			tb.Fatal(err)
		}
		defer hello.Unsubscribe()
		clients = append(clients, nc)
	}
	met := make(map[string]bool)
	late := time.After(60 * time.Second)
	turn := time.NewTicker(20 * time.Millisecond)
	defer turn.Stop()
	for len(met) < len(servers)*len(servers) {
		for from, nc := range clients {
			for to := range servers {
				nc.Publish(fmt.Sprintf("meet.%d.%d", to, from), nil)
			}
			nc.Flush()
		}
		for open := true; open; {
			select {
			case m := <-came:
				met[m.Subject] = true
			case <-turn.C:
				open = false
			case <-late:
				tb.Fatalf("servers have not met: %v", met)
			}
		}
	}
}

func (p *process) start() {
	p.tb.Helper()
	path, err := natsServer()
	if err != nil {
		p.tb.Fatal(err)
	}
	p.output = new(bytes.Buffer)
	p.cmd = exec.Command(path, "-c", p.config)
	p.cmd.Stderr = p.output
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
}

// wait waits until clients can use JetStream, which in a cluster has a leader then.
func (p *process) wait() {
	p.tb.Helper()
	nc, err := natsgo.Connect("nats://"+p.address, natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1), natsgo.ReconnectWait(20*time.Millisecond))
	if err != nil {
		p.tb.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		turn, stop := context.WithTimeout(ctx, time.Second)
		m, err := nc.RequestWithContext(turn, "$JS.API.INFO", nil)
		if err != nil && turn.Err() == nil {
			<-turn.Done() // nobody answers yet
		}
		stop()
		if err == nil && !bytes.Contains(m.Data, []byte(`"error"`)) {
			return
		}
		if ctx.Err() != nil {
			p.tb.Fatalf("nats-server %s does not answer: %v\n%s", p.name, err, p.output)
		}
	}
}

// configure restarts the server with more in its configuration.
func (p *process) configure(tb testing.TB, more string) {
	tb.Helper()
	if err := os.WriteFile(p.config, []byte(p.text+more+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	p.restart(true)
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.cmd = nil
}

// restart kills the process and starts it again.
func (p *process) restart(keepData bool) {
	p.tb.Helper()
	p.kill()
	if !keepData {
		if err := os.RemoveAll(p.dir); err != nil {
			p.tb.Fatal(err)
		}
	}
	p.start()
}
