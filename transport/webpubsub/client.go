package webpubsub

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"time"
)

// ClientOptions say which hub of which service a [Client] is for.
type ClientOptions struct {
	// Endpoint is the address of the service: https://name.webpubsub.azure.com.
	// [ParseConnectionString] finds it, and the key.
	Endpoint string

	// Hub is the name of the hub: a letter, then letters, digits and _ ` , . [ ].
	Hub string

	// AccessKey is one of the service's two keys. It never leaves the program: each
	// request has a token that is signed with it and good for this request's address
	// only.
	AccessKey string

	// Tokens gives tokens of Microsoft Entra, in place of AccessKey. They are sent
	// over https only, or to the program's own machine.
	Tokens TokenSource

	// HTTPClient makes the requests, but follows no redirect. nil: one of the
	// Client's own, which keeps as many connections open as Parallel says.
	HTTPClient *http.Client

	// Parallel is how many requests may be under way at a time, those included that
	// wait to be tried again; the default is 64. Others wait until there is room.
	Parallel int

	// Tries is how often a request is made, at most; the default is 4.
	Tries int

	// Timeout is how long one try may take; the default is 15 s.
	Timeout time.Duration
}

// Client sends to the connections of a hub and manages them, by the REST API of
// the service, version 2024-12-01. It may be used by many goroutines, and needs no
// closing.
//
// A request is tried again after 429, 502, 503 and 504, and where there was no
// answer: after the time that the answer's Retry-After asks for, or a random time
// that grows with each try, from 0.2 s up to 5 s. It is not if that would end
// after the context's deadline, or if the service asks for more than 30 s. So a
// message may reach a client twice, if the answer to the first try was lost.
//
// Errors for what the service refused are [*ResponseError].
type Client struct {
	endpoint *url.URL
	hub      string
	key      []byte      // nil with tokens
	tokens   TokenSource // nil with key
	http     http.Client
	slots    chan struct{} // one for each request under way
	tries    int
	timeout  time.Duration
}

// hubName is the pattern of the API's definition for a hub's name.
var hubName = regexp.MustCompile("^[A-Za-z][A-Za-z0-9_`,.\\[\\]]{0,127}$")

// NewClient returns the client for a hub. It sends nothing yet. It returns an
// error if the options, which often come from the environment, make no sense.
func NewClient(o ClientOptions) (*Client, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	switch {
	case err != nil:
		return nil, err
	case !hubName.MatchString(o.Hub):
		return nil, fmt.Errorf("webpubsub: %q is not a name of a hub", o.Hub)
	case (o.AccessKey == "") == (o.Tokens == nil):
		return nil, errors.New("webpubsub: a client has either ClientOptions.AccessKey or Tokens")
	case o.Tokens != nil && endpoint.Scheme != "https" && !loopback(endpoint.Hostname()):
		return nil, errors.New("webpubsub: tokens of Microsoft Entra are sent over https only")
	case o.Parallel < 0 || o.Tries < 0 || o.Timeout < 0:
		return nil, errors.New("webpubsub: a number of ClientOptions is negative")
	}
	c := &Client{
		endpoint: endpoint,
		hub:      o.Hub,
		tokens:   o.Tokens,
		slots:    make(chan struct{}, orDefault(o.Parallel, 64)),
		tries:    orDefault(o.Tries, 4),
		timeout:  orDefault(o.Timeout, 15*time.Second),
	}
	if o.AccessKey != "" {
		c.key = []byte(o.AccessKey)
	}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	} else {
		c.http.Transport = newTransport(cap(c.slots))
	}
	// A token is for one address, and what comes from another is not from the service.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// newTransport returns one that keeps as many connections as there may be requests
// under way, where that of net/http keeps two.
func newTransport(connections int) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.MaxIdleConns = connections
	t.MaxIdleConnsPerHost = connections
	return t
}

// loopback reports whether a host is the machine that the program runs on.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
