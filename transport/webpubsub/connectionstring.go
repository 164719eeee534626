package webpubsub

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ParseConnectionString takes a connection string apart, as the portal of Azure
// shows it for each of the two access keys:
//
//	Endpoint=https://name.webpubsub.azure.com;AccessKey=…;Version=1.0;
//
// A Port, which emulators use, becomes part of the endpoint. An error never
// contains the string, which is a secret.
func ParseConnectionString(s string) (endpoint, accessKey string, err error) {
	var port string
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(name) {
		case "endpoint":
			endpoint = value
		case "accesskey":
			accessKey = value
		case "port":
			port = value
		}
	}
	if endpoint == "" || accessKey == "" {
		return "", "", errors.New("webpubsub: the connection string has no Endpoint or no AccessKey")
	}
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return "", "", err
	}
	if port != "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u.String(), accessKey, nil
}

// parseEndpoint reads the address of a service. What it returns has no path.
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("webpubsub: the endpoint is not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil,
		strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("webpubsub: the endpoint is not https://host, but %q", u.Redacted())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
