package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/testport"
)

// permissions are those that the package comment says are enough.
func permissions(t *testing.T) []string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "needs to be allowed\n")
	list, _, _ = strings.Cut(list, "package redis")
	return strings.Fields(strings.ReplaceAll(list, "//", ""))
}

// TestPermissions proves that a user who may do what the package comment names
// can do all that an engine does, and that one with a wrong password is told, and
// nobody else what it is.
func TestPermissions(t *testing.T) {
	one, many := newServer(t), newCluster(t, 3, false)
	for _, s := range append(many.masters, one) {
		s.do(append([]string{"ACL", "SETUSER", "chat", "on", ">secret"}, permissions(t)...)...)
	}
	for name, addrs := range map[string][]string{"one server": {one.addr}, "cluster": many.addrs()} {
		t.Run(name, func(t *testing.T) {
			n := join(t, redis.Options{Addrs: addrs, Username: "chat", Password: "secret"})
			for range 2 { // there are other ways when something is there already
				atOnce(t, within(t), n.Engine, func(method string, err error) {
					if err != nil {
						t.Errorf("%s: %v", method, err)
					}
				})
			}
			for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
				top := topic(class)
				top.TTL, top.Size = min(top.TTL, 20*time.Millisecond), min(top.Size, 1)
				n.subscribe(top)
				for i := range 1100 / 10 {
					ev := engine.Event{ID: strconv.Itoa(i), Key: strconv.Itoa(i)}
					if err := n.Publish(within(t), top, ev); err != nil {
						t.Fatalf("%v: %v", class, err)
					}
				}
				n.next(top, 100)
				n.Unsubscribe(top)
			}
			many := topic(engine.Latest)
			for i := range 1030 { // more keys than it keeps
				if err := n.Publish(within(t), many, engine.Event{Key: strconv.Itoa(i)}); err != nil {
					t.Fatal(err)
				}
			}
			testRegistry(t, n)
		})
	}
	var log safeText
	opts := redis.Options{Addrs: []string{one.addr}, Username: "chat", Password: "wrong-secret", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	n := join(t, opts)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := n.Probe(ctx)
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || !strings.Contains(log.String(), "WRONGPASS") {
		t.Errorf("with a wrong password: %v; logged: %s", err, log.String())
	}
	if err != nil && strings.Contains(err.Error()+log.String(), "secret") {
		t.Errorf("a password shows: %v; logged: %s", err, log.String())
	}
}

// testRegistry uses a registry in ways that leave something to be tidied up.
func testRegistry(t *testing.T, n *node) {
	t.Helper()
	if _, err := n.Renew(within(t), "short", 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, en := range []engine.Entry{
		{Group: "tidy", Member: "a", Owner: "short"},
		{Group: "tidy", Member: "b", Owner: "short", Lasts: 20 * time.Millisecond},
		{Group: "tidy", Member: "c", Owner: "short", Lasts: time.Minute},
	} {
		if err := n.Put(within(t), en); err != nil {
			t.Fatal(err)
		}
	}
	one := false
	for ctx := within(t); !one; {
		count := 0
		for en, err := range n.Entries(ctx, "tidy") {
			if err != nil {
				t.Fatal(err)
			}
			if en.Member == "c" {
				count++
			} else {
				count += 10
			}
		}
		one = count == 1
	}
	if held, err := n.Renew(within(t), "short", time.Minute); err != nil || held {
		t.Errorf("after its lease has ended: held %v, %v", held, err)
	}
}

// safeText is text that goroutines write.
type safeText struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (s *safeText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *safeText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestTLS proves that an engine speaks TLS, and with whom it should only.
func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	s := &server{tb: t, addr: testport.Address(t), dir: t.TempDir()}
	addrs := []string{testport.Address(t)}
	s.args = []string{
		"--port", portOf(s.addr), "--tls-port", portOf(addrs[0]), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no",
	}
	s.start()
	t.Cleanup(s.kill)
	n := join(t, redis.Options{Addrs: addrs, TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	top := topic(engine.Ordered)
	n.subscribe(top)
	n.publish(top, "1")
	n.next(top, 1)

	other := join(t, redis.Options{Addrs: addrs, TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := other.Probe(ctx); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server whose certificate nobody vouches for: %v", err)
	}
}

// certificate makes one for 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return certFile, keyFile, pool
}

// TestApart proves that engines with another prefix, or another database, do not
// notice each other.
func TestApart(t *testing.T) {
	s := newServer(t)
	addrs := []string{s.addr}
	nodes := []*node{
		join(t, redis.Options{Addrs: addrs}),
		join(t, redis.Options{Addrs: addrs, Prefix: "other:"}),
		join(t, redis.Options{Addrs: addrs, DB: 3}),
	}
	tops := []engine.Topic{topic(engine.Recoverable), topic(engine.Volatile)}
	for i, n := range nodes {
		n.subscribe(tops...)
		if _, err := n.Renew(within(t), strconv.Itoa(i), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range nodes {
		for _, top := range tops {
			n.publish(top, strconv.Itoa(i))
		}
	}
	for i, n := range nodes {
		if err := n.Probe(within(t)); err != nil {
			t.Fatal(err)
		}
		for _, top := range tops {
			if got := texts(n.next(top, 1)); len(got) != 1 || got[0] != strconv.Itoa(i) {
				t.Errorf("%d: %q came", i, got)
			}
		}
		if owners, err := n.Owners(within(t)); err != nil || len(owners) != 1 {
			t.Errorf("%d: the owners are %q, %v", i, owners, err)
		}
		if got := len(n.read(tops[0], engine.Position{}).Events); got != 1 {
			t.Errorf("%d: %d events are kept", i, got)
		}
	}
}
