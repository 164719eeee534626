package standin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is what has happened to a connection.
type event struct {
	number int
	kind   string // "sys" or "user"
	name   string
	data   data
}

// reply is what the handler has answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) ok() bool { return r.status >= 200 && r.status <= 299 }

var errNoUpstream = errors.New("no handler of events is configured")

// send posts an event, again after 408, 5xx and where there is no answer.
func (s *Service) send(ctx context.Context, c *connection, ev event) (reply, error) {
	s.mu.Lock()
	address := s.upstream
	s.mu.Unlock()
	if address == "" {
		return reply{}, errNoUpstream
	}
	resolve := func(name string) string {
		return strings.NewReplacer("{hub}", url.PathEscape(c.hub), "{event}", url.PathEscape(name)).Replace(address)
	}
	if err := s.validate(ctx, resolve("validate"), c.host); err != nil {
		return reply{}, err
	}
	header := c.eventHeader(s.o.Keys[:], ev)
	for try := 0; ; try++ {
		res, err := s.exchange(ctx, http.MethodPost, resolve(ev.name), header, ev.data.bytes)
		again := err != nil || res.status == http.StatusRequestTimeout || res.status >= 500
		if !again || try == len(s.o.Waits) {
			return res, err
		}
		select {
		case <-time.After(s.o.Waits[try]):
		case <-ctx.Done():
			return res, ctx.Err()
		}
	}
}

// validate asks once whether events may be sent to an address.
func (s *Service) validate(ctx context.Context, address, host string) error {
	s.mu.Lock()
	done := s.validated[address]
	s.mu.Unlock()
	if done {
		return nil
	}
	res, err := s.exchange(ctx, http.MethodOptions, address, http.Header{
		"WebHook-Request-Origin": {host}, "ce-awpsversion": {"1.0"},
	}, nil)
	if err != nil {
		return err
	}
	// Microsoft's handler for Express lists all that it allows.
	allowed := slices.ContainsFunc(res.header.Values("WebHook-Allowed-Origin"), func(s string) bool {
		return slices.ContainsFunc(strings.Split(s, ","), func(s string) bool {
			s = strings.TrimSpace(s)
			return s == "*" || strings.EqualFold(s, host)
		})
	})
	if !res.ok() || !allowed {
		return fmt.Errorf("the handler of events does not allow %s: %d %v", host, res.status, res.header)
	}
	s.mu.Lock()
	s.validated[address] = true
	s.mu.Unlock()
	return nil
}

// exchange makes one request and has it observed.
func (s *Service) exchange(ctx context.Context, method, address string, header http.Header, body []byte) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header = header.Clone() // names as the service writes them
	res, err := s.post.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return reply{}, err
	}
	s.observe(Exchange{
		Event: true, Method: method, URL: address, Header: header, Body: body,
		Status: res.StatusCode, AnswerHeader: res.Header, Answer: answer,
	})
	return reply{res.StatusCode, res.Header, answer}, nil
}

// eventHeader makes the fields of an event, as documented in
// https://learn.microsoft.com/azure/azure-web-pubsub/reference-cloud-events.
func (c *connection) eventHeader(keys []string, ev event) http.Header {
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(c.id))
		signatures = append(signatures, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	h := http.Header{
		"WebHook-Request-Origin": {c.host},
		"Content-Type":           {contentTypes[ev.data.kind]},
		"ce-specversion":         {"1.0"},
		"ce-awpsversion":         {"1.0"},
		"ce-type":                {"azure.webpubsub." + ev.kind + "." + ev.name},
		"ce-source":              {"/hubs/" + c.hub + "/client/" + c.id},
		"ce-id":                  {strconv.Itoa(ev.number)},
		"ce-time":                {time.Now().UTC().Format(time.RFC3339)},
		"ce-signature":           {strings.Join(signatures, ",")},
		"ce-connectionId":        {c.id},
		"ce-hub":                 {c.hub},
		"ce-eventName":           {ev.name},
	}
	if ev.kind == "sys" {
		h["Content-Type"] = []string{"application/json; charset=utf-8"}
	}
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set("ce-userId", c.user)
	set("ce-subprotocol", c.subprotocol)
	set("ce-connectionState", c.getState())
	return h
}
