// Package nginx_test puts a real nginx in front of a server, with the
// configuration that the guide shows: examples/routers/nginx.conf.
package nginx_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/internal/testport"
	"github.com/kanava-go/kanava/transport/ws"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// startNginx starts nginx in front of the server at upstream, and returns its
// address. It ends with the test.
func startNginx(t *testing.T, upstream string, replace ...string) string {
	t.Helper()
	return startNginxListening(t, upstream, "", replace...)
}

// startNginxListening is startNginx with an option of "listen".
func startNginxListening(t *testing.T, upstream, option string, replace ...string) string {
	t.Helper()
	addr := testport.Address(t)
	if err := launch(t, addr, upstream, option, replace...); err != nil {
		t.Fatal(err)
	}
	return addr
}

// launch starts nginx at an address, and waits until it listens.
func launch(t *testing.T, addr, upstream, option string, replace ...string) error {
	t.Helper()
	nginx := os.Getenv("NGINX_PATH") // nginx itself takes NGINX for something else
	if nginx == "" {
		nginx = "nginx"
	}
	nginx, err := exec.LookPath(nginx)
	if err != nil {
		t.Fatalf("there is no nginx: install Debian's package nginx-light, or set NGINX_PATH: %v", err)
	}
	dir := t.TempDir()
	site := readSite(t, append(replace, "listen 80;", "listen "+addr+option+";", "server 127.0.0.1:3000;", "server "+upstream+";")...)
	write(t, filepath.Join(dir, "site.conf"), site)
	write(t, filepath.Join(dir, "nginx.conf"), `
daemon off;
master_process off; # one process, which ends by its id
pid `+dir+`/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path `+dir+`/body;
    proxy_temp_path `+dir+`/proxy;
    fastcgi_temp_path `+dir+`/fastcgi;
    uwsgi_temp_path `+dir+`/uwsgi;
    scgi_temp_path `+dir+`/scgi;
    include `+dir+`/site.conf;
}
`)
	var said bytes.Buffer
	cmd := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("nginx said:\n%s", said.String())
		}
	})
	return listening(t, filepath.Join(dir, "nginx.pid"), ended)
}

// A test meets its own nginx, or none: not another server that has the address.
func TestAnotherServer(t *testing.T) {
	t.Parallel() // nginx tries for some seconds
	u := newUpstream(t, ws.Options{})
	if err := launch(t, u.addr, u.addr, ""); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("where the address is taken: %v", err)
	}
}

// readSite returns the file that the guide shows, with these replacements: pairs
// of what stands there and what shall.
func readSite(t *testing.T, replace ...string) string {
	t.Helper()
	data, err := os.ReadFile("../../../examples/routers/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(data), replace[i]) {
			t.Fatalf("nginx.conf has no %q", replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(data))
}

// listening waits until the nginx that makes this file listens, or has ended. It
// does not try to connect: somebody else may listen there. nginx writes the file
// when it has bound its addresses.
func listening(t *testing.T, pidFile string, ended chan error) error {
	t.Helper()
	late := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := os.Stat(pidFile); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case end := <-ended:
			ended <- end
			return fmt.Errorf("nginx has ended: %w", end)
		case <-late:
			return fmt.Errorf("nginx does not listen within %v", patience)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
