//go:build unix

package redis_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/kanava-go/kanava/internal/testport"
)

// server is a redis-server.
type server struct {
	addr  string
	asked rueidis.Client
}

// newServer starts a server that keeps nothing on disk and ends with the
// benchmark.
func newServer(b *testing.B) *server {
	b.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("redis-server is not installed (Debian: apt-get install redis-server)")
	}
	port := strconv.Itoa(testport.Port(b))
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	s := &server{addr: "127.0.0.1:" + port}
	late := time.After(10 * time.Second)
	for {
		if s.asked, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr}, DisableCache: true}); err == nil {
			b.Cleanup(s.asked.Close)
			return s
		}
		select {
		case <-late:
			b.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// info returns a number that the server tells of itself.
func (s *server) info(b *testing.B, section, field string) float64 {
	b.Helper()
	text, err := s.asked.Do(b.Context(), s.asked.B().Info().Section(section).Build()).ToString()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "\n"+field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		b.Fatal(err)
	}
	return number
}

// cpuTime is what the server has used.
func (s *server) cpuTime(b *testing.B) time.Duration {
	b.Helper()
	return time.Duration((s.info(b, "cpu", "used_cpu_sys") + s.info(b, "cpu", "used_cpu_user")) * 1e9)
}
