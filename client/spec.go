package client

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Spec is what a generator knows of a channel.
type Spec struct {
	// Path is the path pattern of the channel's route, as net/http has them:
	// "/chat/{room}".
	Path string
	// Params says how members of the opening data travel.
	Params []Param
	// Contract is the level and hash of the manifest: "1.9f2c01ab".
	Contract string
	// JSON is used for every value of the channel, for types that need
	// marshalers of their own.
	JSON json.Options
}

// Param says where a member of the opening data travels: in the first of these
// places that is named.
type Param struct {
	Name   string // of the member
	Path   string // wildcard of Spec.Path
	Query  string
	Header string
}

// address returns the URL of a channel and the headers of its opening data.
func (s *Spec) address(base string, opening any) (string, http.Header, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", nil, fmt.Errorf("client: address of the server: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return "", nil, fmt.Errorf("client: address of the server: %q is not ws://, wss://, http:// or https://", base)
	}
	if u.Host == "" {
		return "", nil, fmt.Errorf("client: address of the server: %q has no host", base)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", nil, fmt.Errorf("client: address of the server: %q has a query or a fragment", base)
	}
	members := map[string]jsontext.Value{}
	if opening != nil {
		text, err := json.Marshal(opening, s.options())
		if err == nil {
			err = json.Unmarshal(text, &members)
		}
		if err != nil {
			return "", nil, fmt.Errorf("client: opening data: %w", err)
		}
	}
	header := http.Header{}
	query := url.Values{}
	wildcards := map[string]string{}
	for _, p := range s.Params {
		values, err := texts(members[p.Name])
		if err != nil {
			return "", nil, fmt.Errorf("client: opening data: member %q: %w", p.Name, err)
		}
		for _, v := range values {
			switch {
			case p.Path != "":
				wildcards[p.Path] = v
			case p.Query != "":
				query.Add(p.Query, v)
			case p.Header != "":
				header.Add(p.Header, v)
			}
		}
	}
	path, err := fill(s.Path, wildcards)
	if err != nil {
		return "", nil, err
	}
	raw := strings.TrimSuffix(u.EscapedPath(), "/") + path
	if u.Path, err = url.PathUnescape(raw); err != nil {
		return "", nil, fmt.Errorf("client: address of the server: %w", err)
	}
	u.RawPath, u.RawQuery = raw, query.Encode()
	return u.String(), header, nil
}

// fill puts values in place of the wildcards of a path pattern.
func fill(pattern string, values map[string]string) (string, error) {
	var path strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "{")
		path.WriteString(before)
		if !found {
			return path.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		pattern = after
		if name == "$" {
			continue
		}
		name, many := strings.CutSuffix(name, "...")
		v := values[name]
		if v == "" && !many {
			return "", fmt.Errorf("client: opening data: the path needs a value for %q", name)
		}
		v = url.PathEscape(v)
		if many {
			v = strings.ReplaceAll(v, "%2F", "/")
		}
		path.WriteString(v)
	}
}

// texts returns a JSON value as the texts that stand for it in a URL: those of
// an array's values, and none for null and what is absent.
func texts(v jsontext.Value) ([]string, error) {
	switch v.Kind() {
	case 0, 'n':
		return nil, nil
	case '"':
		var s string
		err := json.Unmarshal(v, &s)
		return []string{s}, err
	case '[':
		var list []jsontext.Value
		if err := json.Unmarshal(v, &list); err != nil {
			return nil, err
		}
		var all []string
		for _, item := range list {
			one, err := texts(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	case '{':
		return nil, fmt.Errorf("an object has no place in a URL")
	}
	return []string{string(v)}, nil
}

// options returns s.JSON, which may be nil.
func (s *Spec) options() json.Options {
	return json.JoinOptions(s.JSON)
}
