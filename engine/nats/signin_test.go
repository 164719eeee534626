package nats_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/kanava-go/kanava/engine/nats"
)

// TestSignIn: the ways to sign in that servers know, and TLS.
func TestSignIn(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := user.Seed()
	public, _ := user.PublicKey()
	nkey := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(nkey, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key, roots := certificate(t)
	server := startServers(t, 1, "")[0]
	for _, c := range []struct {
		name, config string
		change       func(*nats.Options)
	}{
		{"user", `authorization {user: me, password: secret}`, func(o *nats.Options) { o.User, o.Password = "me", "secret" }},
		{"token", `authorization {token: secret}`, func(o *nats.Options) { o.Token = "secret" }},
		{"nkey", `authorization {users: [{nkey: ` + public + `}]}`, func(o *nats.Options) { o.NKeyFile = nkey }},
		{"TLS", `tls {cert_file: "` + cert + `", key_file: "` + key + `"}`, func(o *nats.Options) {
			o.URLs[0] = strings.Replace(o.URLs[0], "nats:", "tls:", 1)
			o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server.configure(t, c.config)
			n := connect(t, "nats://"+server.address, c.change)
			n.do("probe", n.Probe)
		})
	}
}

// certificate makes one for the loopback.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	pemCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(pemCert)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, data := range map[string][]byte{certFile: pemCert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, roots
}
