package nats

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
)

// maxPayload is the largest message of an embedded server.
const maxPayload = 8 << 20

// EmbeddedOptions says what the server in this process is.
type EmbeddedOptions struct {
	// Dir is where the server keeps its data: one for each. A server that is
	// alone needs none, and keeps all in memory then.
	Dir string

	// Cluster joins servers of several processes. nil: this one is alone.
	Cluster *Cluster

	Keep Keeping

	// MaxMemory and MaxDisk bound what the server keeps, in bytes. Above them
	// publishers get an error. 0: 1 GiB and 16 GiB.
	MaxMemory, MaxDisk int64

	// Prefix and Logger are as in Options. The logger also hears the server's
	// warnings and errors.
	Prefix string
	Logger *slog.Logger
}

// Cluster is how embedded servers find each other. Three are the least of which
// one may fail.
type Cluster struct {
	Server string // the name of this server, another one for each; it stays with Dir
	Listen string // host:port, for the other servers only

	// Peers are the Listen addresses of the others, as seen from here; may include
	// the own one. One that is up is enough to find all.
	Peers []string

	// Secret is what all servers of the cluster know, of 16 bytes at least.
	Secret string

	// TLS is for connections between servers, with a certificate that serves for
	// both ends. nil: they are not encrypted, and belong into a private network.
	TLS *tls.Config
}

// Embedded makes an engine that is a NATS server itself, alone or with others.
// It starts the server in Start; Close shuts it down.
func Embedded(o EmbeddedOptions) (*Engine, error) {
	options, err := o.check()
	if err != nil {
		return nil, err
	}
	e := newEngine(o.Prefix, o.Keep, o.Logger)
	s := &server{options: options, log: e.log}
	e.shut = s.close
	e.connect = func() (*natsgo.Conn, error) {
		if err := s.start(e.closed); err != nil {
			return nil, err
		}
		return natsgo.Connect("", append(e.link.options(e), natsgo.Token(options.Authorization), natsgo.InProcessServer(inProcess{s, &e.link.unread}))...)
	}
	return e, nil
}

func (o *EmbeddedOptions) check() (*natsserver.Options, error) {
	if err := errors.Join(o.Keep.check(), checkPrefix(&o.Prefix)); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Keep.InMemory = true
	}
	if o.MaxMemory < 0 || o.MaxDisk < 0 {
		return nil, errors.New("nats: a limit below 0")
	}
	options := &natsserver.Options{
		ServerName:         o.Prefix,
		DontListen:         true,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           o.Dir,
		JetStreamMaxMemory: o.MaxMemory,
		JetStreamMaxStore:  o.MaxDisk,
		MaxPayload:         maxPayload,
		MaxPending:         natsserver.MAX_PENDING_SIZE,
	}
	if o.MaxMemory == 0 {
		options.JetStreamMaxMemory = 1 << 30
	}
	if o.MaxDisk == 0 {
		options.JetStreamMaxStore = 16 << 30
	}
	if o.Cluster == nil {
		if o.Keep.Replicas > 1 {
			return nil, fmt.Errorf("nats: %d replicas without a Cluster", o.Keep.Replicas)
		}
		return options, nil
	}
	if o.Dir == "" {
		return nil, errors.New("nats: a server of a cluster needs a Dir: what it has promised to the others has to outlive it")
	}
	return options, o.Cluster.apply(options, o.Prefix)
}

func (c *Cluster) apply(options *natsserver.Options, prefix string) error {
	const shortest = 16
	if !prefixes.MatchString(c.Server) {
		return fmt.Errorf("nats: server %q: up to 64 letters, digits, - and _", c.Server)
	}
	if len(c.Secret) < shortest {
		return fmt.Errorf("nats: a secret of less than %d bytes", shortest)
	}
	host, port, err := hostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("nats: Listen: %w", err)
	}
	options.ServerName = c.Server
	options.Cluster = natsserver.ClusterOpts{
		Name: prefix, Host: host, Port: port, NoAdvertise: true,
		Username: prefix, Password: c.Secret, AuthTimeout: 2,
	}
	// The server begins to look for others when it listens for clients. Nobody gets
	// in there but this process.
	options.DontListen = false
	options.Host, options.Port = "127.0.0.1", natsserver.RANDOM_PORT
	options.Authorization = rand.Text()
	if c.TLS != nil {
		options.Cluster.TLSConfig = c.TLS
		options.Cluster.TLSTimeout = 5
	}
	for i, peer := range c.Peers {
		if _, _, err := hostPort(peer); err != nil {
			return fmt.Errorf("nats: Peers[%d]: %w", i, err)
		}
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: peer, User: url.UserPassword(prefix, c.Secret)})
	}
	return nil
}

func hostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%s: no port from 1 to 65535", address)
	}
	return host, port, nil
}
