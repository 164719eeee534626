package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Options say which server to use, and how.
type Options struct {
	// Addrs are addresses, host:port: of one server, of some nodes of a cluster
	// (the others are found), or with Master of sentinels. One address may be that
	// of a cluster, too.
	Addrs []string

	// Master is the name under which sentinels know the server. "": there are none.
	Master string

	// Username and Password sign in to servers. "" as the name is the default user.
	Username, Password string

	// SentinelUsername and SentinelPassword sign in to sentinels.
	SentinelUsername, SentinelPassword string

	// TLS is for all connections. nil: they are not encrypted.
	TLS *tls.Config

	// DB is the number of the database. A cluster has only 0.
	DB int

	// Prefix is what names of keys and channels begin with. Programs with different
	// ones do not notice each other. "" is "kanava:". Braces are not allowed.
	Prefix string

	// Durable says that servers lose nothing that they have confirmed, neither by a
	// restart nor when a replica takes the place of another: with appendonly,
	// appendfsync always and no replicas, or on a service that promises it.
	// Positions of topics then survive these. By default each is the end of all
	// epochs, for the last events before it may be missing.
	Durable bool

	// Logger is told what an operator should know. nil: slog.Default().
	Logger *slog.Logger
}

const (
	dialTime  = 5 * time.Second // to connect and sign in
	replyTime = 5 * time.Second // a connection that answers nothing for longer is closed
)

// complete puts defaults in, or returns what cannot be meant.
func (o *Options) complete() error {
	if len(o.Addrs) == 0 {
		return errors.New("no address of a server")
	}
	for i, addr := range o.Addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("address %d is not host:port", i) // it may be a URL with a password
		}
	}
	switch {
	case o.DB < 0:
		return fmt.Errorf("database %d", o.DB)
	case o.DB > 0 && len(o.Addrs) > 1 && o.Master == "":
		return fmt.Errorf("database %d: several addresses are those of a cluster, which has only 0", o.DB)
	case o.Username != "" && o.Password == "":
		return errors.New("a username without a password")
	case o.Master == "" && o.SentinelUsername+o.SentinelPassword != "":
		return errors.New("credentials for sentinels, but no Master")
	case strings.ContainsAny(o.Prefix, "{}"):
		return fmt.Errorf("prefix %q has braces", o.Prefix)
	}
	if o.Prefix == "" {
		o.Prefix = "kanava:"
	}
	if o.DB > 0 {
		o.Prefix = fmt.Sprintf("%sdb%d:", o.Prefix, o.DB) // channels belong to no database
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// client returns what the client library wants to know. Its connections are
// given up when ctx ends.
func (o *Options) client(ctx context.Context) rueidis.ClientOption {
	dialer := net.Dialer{Timeout: dialTime, KeepAlive: time.Second}
	return rueidis.ClientOption{
		InitAddress:         o.Addrs,
		Username:            o.Username,
		Password:            o.Password,
		TLSConfig:           o.TLS,
		SelectDB:            o.DB,
		Dialer:              dialer,
		ConnWriteTimeout:    replyTime,
		PipelineMultiplex:   -1, // one connection for commands to each server: they keep their order
		ReadBufferEachConn:  64 << 10,
		WriteBufferEachConn: 64 << 10,
		DisableCache:        true,
		DisableRetry:        true, // engine.answer knows what may be repeated
		Sentinel: rueidis.SentinelOption{
			MasterSet:               o.Master,
			Username:                o.SentinelUsername,
			Password:                o.SentinelPassword,
			TLSConfig:               o.TLS,
			Dialer:                  dialer,
			TopologyRefreshInterval: lookTime,
		},
		ClusterOption: rueidis.ClusterOption{
			ShardsRefreshInterval: lookTime,
			MaxMovedRedirections:  5,
		},
		DialCtxFn: func(dialing context.Context, addr string, d *net.Dialer, tlsConfig *tls.Config) (net.Conn, error) {
			dialing, cancel := context.WithCancel(dialing)
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			if tlsConfig != nil {
				return (&tls.Dialer{NetDialer: d, Config: tlsConfig}).DialContext(dialing, "tcp", addr)
			}
			return d.DialContext(dialing, "tcp", addr)
		},
	}
}
