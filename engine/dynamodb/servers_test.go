package dynamodb_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/internal/testport"
)

// server is a process of dynalite, an emulator of DynamoDB that others have written.
// It has no time to live, no throttling and one region.
type server struct {
	tb     testing.TB
	addr   string
	dir    string
	cmd    *exec.Cmd
	output *bytes.Buffer
}

// tableName is that of all tests.
const tableName = "kanava"

// dynalite returns how the emulator is started. Without it a test has nothing to
// test, which is a failure where all engines are to be tested.
func dynalite(tb testing.TB) (node, script string) {
	tb.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		script, err = filepath.Abs("testdata/dynalite/node_modules/dynalite/cli.js")
	}
	if err == nil {
		_, err = os.Stat(script)
	}
	if err == nil {
		return node, script
	}
	const missing = "Node or dynalite is not installed (npm ci in engine/dynamodb/testdata/dynalite): make engines needs it"
	if os.Getenv("KANAVA_ENGINES") == "all" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
	return "", ""
}

// newServer starts a server with an empty table. It ends with the test.
func newServer(tb testing.TB) *server {
	tb.Helper()
	s := &server{tb: tb, addr: testport.Address(tb), dir: tb.TempDir()}
	tb.Cleanup(s.kill)
	s.start()
	return s
}

// start starts the process and makes the table, unless it is there.
func (s *server) start() {
	s.tb.Helper()
	node, script := dynalite(s.tb)
	_, port, _ := net.SplitHostPort(s.addr)
	s.output = new(bytes.Buffer)
	s.cmd = exec.Command(node, script, "--host", "127.0.0.1", "--port", port, "--path", s.dir, "--createTableMs", "0", "--deleteTableMs", "0")
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.await()
	if err := dynamodb.CreateTable(within(s.tb), s.client(), tableName); err != nil {
		s.tb.Fatalf("CreateTable: %v", err)
	}
}

// await waits until the server answers.
func (s *server) await() {
	s.tb.Helper()
	late := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			s.tb.Fatalf("dynalite does not answer within 60 s: %s", s.output)
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

// restart kills the server and starts it again.
func (s *server) restart(keepData bool) {
	s.tb.Helper()
	s.kill()
	if !keepData {
		os.RemoveAll(s.dir)
	}
	s.start()
}

// wipe lets the server forget all.
func (s *server) wipe() {
	s.tb.Helper()
	client := s.client()
	if _, err := client.DeleteTable(within(s.tb), &awsdynamodb.DeleteTableInput{TableName: aws.String(tableName)}); err != nil {
		s.tb.Fatal(err)
	}
	for {
		_, err := client.DescribeTable(within(s.tb), &awsdynamodb.DescribeTableInput{TableName: aws.String(tableName)})
		if err != nil {
			break
		}
	}
	if err := dynamodb.CreateTable(within(s.tb), client, tableName); err != nil {
		s.tb.Fatal(err)
	}
}

// stop makes the process do nothing, with its connections open.
func (s *server) stop() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// goOn undoes stop.
func (s *server) goOn() { s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *server) client() *awsdynamodb.Client { return clientOf(s.tb, s.addr) }

// clientOf returns a client of the server at an address. Its connections end with the
// test.
func clientOf(tb testing.TB, addr string) *awsdynamodb.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return clientBy(transport, addr)
}

func clientBy(transport http.RoundTripper, addr string) *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		Region:       "eu-north-1",
		BaseEndpoint: aws.String("http://" + addr),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   &http.Client{Transport: transport},
	})
}

// within is a context that ends after anything a test waits for.
func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	tb.Cleanup(cancel)
	return ctx
}
