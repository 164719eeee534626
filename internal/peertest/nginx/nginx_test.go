// Package nginx_test puts a real nginx in front of a server, with the
// configuration that the guide shows: examples/routers/nginx.conf.
package nginx_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	nginx := os.Getenv("NGINX_PATH") // nginx itself takes NGINX for something else
	if nginx == "" {
		nginx = "nginx"
	}
	nginx, err := exec.LookPath(nginx)
	if err != nil {
		t.Fatalf("there is no nginx: install Debian's package nginx-light, or set NGINX_PATH: %v", err)
	}
	addr := freeAddress(t)
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
	waitFor(t, addr, ended)
	return addr
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

// waitFor waits until nginx listens, or has ended.
func waitFor(t *testing.T, addr string, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			nc.Close()
			return
		}
		select {
		case <-again.C:
		case end := <-ended:
			ended <- end
			t.Fatalf("nginx has ended: %v", end)
		case <-ctx.Done():
			t.Fatalf("nginx does not listen: %v", errors.Join(ctx.Err(), err))
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
