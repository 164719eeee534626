package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Options says which servers an [Engine] uses, and how.
type Options struct {
	// URLs of servers of one cluster: nats://host:port, tls://host:port or
	// wss://host:port, without a password. The client learns of the others from the
	// first that answers. None: nats://127.0.0.1:4222.
	URLs []string

	// Who the engine is to the servers. At most one of the four ways.
	User, Password  string
	Token           string
	CredentialsFile string // of a JWT and its key, as nsc writes it
	NKeyFile        string // the seed of an nkey

	// TLS is for servers that want a certificate, or have one that the system does
	// not know. A tls:// URL needs none.
	TLS *tls.Config

	Keep Keeping

	// Prefix begins the names of all subjects and streams. Programs with another
	// one do not see each other. Letters, digits, - and _; "kanava" if empty.
	Prefix string

	// Logger hears of lost connections and of lost data. nil: slog.Default().
	Logger *slog.Logger
}

// Keeping says how servers keep what they keep. It counts when a stream is made:
// for those that are there already, see "nats stream edit".
type Keeping struct {
	// Replicas is how many servers of the cluster have a copy: 1, 3 or 5. With 1,
	// the zero value's meaning, topics of a server that is away stand still.
	Replicas int

	// InMemory keeps copies in memory, and not on disk.
	InMemory bool
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (k *Keeping) check() error {
	switch k.Replicas {
	case 0:
		k.Replicas = 1
	case 1, 3, 5:
	default:
		return fmt.Errorf("nats: %d replicas: there are 1, 3 or 5", k.Replicas)
	}
	return nil
}

func checkPrefix(prefix *string) error {
	if *prefix == "" {
		*prefix = "kanava"
	}
	if !prefixes.MatchString(*prefix) {
		return fmt.Errorf("nats: prefix %q: up to 64 letters, digits, - and _", *prefix)
	}
	return nil
}

// check refuses what cannot be right, and returns what it means to the client.
func (o *Options) check() ([]natsgo.Option, error) {
	if err := errors.Join(o.Keep.check(), checkPrefix(&o.Prefix)); err != nil {
		return nil, err
	}
	if len(o.URLs) == 0 {
		o.URLs = []string{natsgo.DefaultURL}
	}
	for i, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("nats: URLs[%d] is no URL with a host", i) // it may contain a password
		}
		if u.User != nil {
			return nil, fmt.Errorf("nats: URLs[%d] names a user: use the options", i)
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return nil, fmt.Errorf("nats: URLs[%d]: scheme %q: there are nats, tls, ws and wss", i, u.Scheme)
		}
	}
	options, err := o.credentials()
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		options = append(options, natsgo.Secure(o.TLS))
	}
	return options, nil
}

func (o *Options) credentials() (options []natsgo.Option, err error) {
	ways := 0
	if o.User != "" || o.Password != "" {
		ways++
		if o.User == "" {
			return nil, errors.New("nats: a password without a user")
		}
		options = append(options, natsgo.UserInfo(o.User, o.Password))
	}
	if o.Token != "" {
		ways++
		options = append(options, natsgo.Token(o.Token))
	}
	if o.CredentialsFile != "" {
		ways++
		data, err := os.ReadFile(o.CredentialsFile)
		if err != nil {
			return nil, fmt.Errorf("nats: credentials: %w", err)
		}
		if _, err := nkeys.ParseDecoratedUserNKey(data); err != nil {
			return nil, fmt.Errorf("nats: credentials: %s has no key of a user", o.CredentialsFile)
		}
		options = append(options, natsgo.UserCredentials(o.CredentialsFile)) // reads it again for each connection
	}
	if o.NKeyFile != "" {
		ways++
		option, err := natsgo.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats: nkey: %s has no seed of a user that can be read", o.NKeyFile)
		}
		options = append(options, option)
	}
	if ways > 1 {
		return nil, errors.New("nats: more than one of User, Token, CredentialsFile and NKeyFile")
	}
	return options, nil
}

func orDefault(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}

// urls returns them as the client takes them.
func (o *Options) urls() string { return strings.Join(o.URLs, ",") }
