package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kanava-go/kanava/internal/testport"
)

// chatServer is the chat example as a process.
type chatServer struct {
	t      *testing.T
	binary string
	addr   string
	cmd    *exec.Cmd
	ended  chan struct{}
}

// newChatServer builds the example and chooses an address.
func newChatServer(t *testing.T) *chatServer {
	t.Helper()
	s := &chatServer{t: t, binary: filepath.Join(t.TempDir(), "chat"), addr: testport.Address(t)}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "./examples/chat")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(s.kill)
	return s
}

// start starts the server and waits until it answers. Its tokens are good for
// session.
func (s *chatServer) start(session time.Duration) {
	s.t.Helper()
	s.cmd = exec.Command(s.binary, "-addr", s.addr, "-session", session.String())
	s.cmd.Env = append(os.Environ(), "KANAVA_CHAT_SECRET=the secret of the scenario, 32 bytes and more")
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(s.cmd, s.ended)
	eventually(s.t, 20*time.Second, "the server answers", func() bool {
		res, err := http.Get(s.url("/"))
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill ends the server without a word; that it runs is not demanded.
func (s *chatServer) kill() { s.signal(syscall.SIGKILL) }

// stop lets it shut down in good order.
func (s *chatServer) stop() { s.signal(syscall.SIGTERM) }

func (s *chatServer) signal(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	<-s.ended
	s.cmd = nil
}

func (s *chatServer) url(path string) string { return "http://" + s.addr + path }

// tokenFrom asks for a token with which a user can sign in.
func tokenFrom(ctx context.Context, address, user, role string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+url.Values{"user": {user}, "role": {role}}.Encode(), nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var body struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return "", err
	}
	if body.Token == "" {
		return "", fmt.Errorf("no token: %s", res.Status)
	}
	return body.Token, nil
}

// eventually waits for what other processes do.
func eventually(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
