package nats_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/engine/nats"
)

// TestNewRefuses: what cannot be right is refused at once, and no error has a
// credential in it.
func TestNewRefuses(t *testing.T) {
	const secret = "hunter2"
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proves string
		o      nats.Options
		want   string
	}{
		{"replicas that NATS does not have", nats.Options{Keep: nats.Keeping{Replicas: 2}}, "2 replicas"},
		{"a prefix that is two tokens", nats.Options{Prefix: "a.b"}, "prefix"},
		{"a URL that is none", nats.Options{URLs: []string{"nats://" + secret + "\x00"}}, "URLs[0]"},
		{"a URL without a host", nats.Options{URLs: []string{"localhost"}}, "URLs[0]"},
		{"another scheme", nats.Options{URLs: []string{"http://localhost"}}, "scheme"},
		{"a password in a URL", nats.Options{URLs: []string{"nats://me:" + secret + "@localhost"}}, "URLs[0] names a user"},
		{"two ways to sign in", nats.Options{User: "me", Password: secret, Token: secret}, "more than one"},
		{"a password of nobody", nats.Options{Password: secret}, "without a user"},
		{"credentials that are not there", nats.Options{CredentialsFile: file + "x"}, "no such file"},
		{"credentials that are none", nats.Options{CredentialsFile: file}, "no key"},
		{"a seed that is none", nats.Options{NKeyFile: file}, "no seed"},
	} {
		_, err := nats.New(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "nats: ") {
			t.Errorf("%s: %v", c.proves, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret: %v", c.proves, err)
		}
	}
}

// TestEmbeddedRefuses: the same for a server in the process.
func TestEmbeddedRefuses(t *testing.T) {
	cluster := func(change func(*nats.Cluster)) *nats.Cluster {
		c := &nats.Cluster{Server: "a", Listen: "127.0.0.1:6222", Secret: "hunter2hunter2hunter2"}
		change(c)
		return c
	}
	dir := t.TempDir()
	for _, c := range []struct {
		proves string
		o      nats.EmbeddedOptions
		want   string
	}{
		{"copies without others", nats.EmbeddedOptions{Keep: nats.Keeping{Replicas: 3}}, "without a Cluster"},
		{"a limit below 0", nats.EmbeddedOptions{MaxDisk: -1}, "limit"},
		{"a cluster that forgets its promises", nats.EmbeddedOptions{Cluster: cluster(func(*nats.Cluster) {})}, "needs a Dir"},
		{"a cluster that anybody may join", nats.EmbeddedOptions{Dir: dir, Cluster: cluster(func(c *nats.Cluster) { c.Secret = "short" })}, "secret"},
		{"a server without a name", nats.EmbeddedOptions{Dir: dir, Cluster: cluster(func(c *nats.Cluster) { c.Server = "" })}, "server"},
		{"no port", nats.EmbeddedOptions{Dir: dir, Cluster: cluster(func(c *nats.Cluster) { c.Listen = "127.0.0.1" })}, "Listen"},
		{"a port that is none", nats.EmbeddedOptions{Dir: dir, Cluster: cluster(func(c *nats.Cluster) { c.Peers = []string{"b:99999"} })}, "Peers[0]"},
	} {
		if _, err := nats.Embedded(c.o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c.proves, err)
		}
	}
}
