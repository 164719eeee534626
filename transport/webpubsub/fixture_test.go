package webpubsub_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const (
	endpoint = "https://name.webpubsub.azure.com"
	key      = "primary-key-primary-key-primary-key-primary"
	key2     = "secondary-key-secondary-key-secondary-key-se"
)

// sent is a request as the service would see it.
type sent struct {
	Method, URL, Type, Body string
	Header                  http.Header
	At                      time.Time
}

// service answers requests in the client's own process: so time can be virtual.
type service struct {
	answer func(try int, r *http.Request) (*http.Response, error)

	mu   sync.Mutex
	sent []sent // guarded by mu
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	s.mu.Lock()
	s.sent = append(s.sent, sent{r.Method, r.URL.String(), r.Header.Get("Content-Type"), body, r.Header, time.Now()})
	try := len(s.sent)
	s.mu.Unlock()
	return s.answer(try, r)
}

func (s *service) requests() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// always answers every request alike.
func always(status int, body string, header ...string) *service {
	return &service{answer: func(int, *http.Request) (*http.Response, error) { return response(status, body, header...), nil }}
}

// first answers requests with the statuses, in order, and then with 202. The
// status 0 is no answer at all.
func first(statuses ...int) *service {
	return &service{answer: func(try int, _ *http.Request) (*http.Response, error) {
		if try > len(statuses) {
			return response(http.StatusAccepted, ""), nil
		}
		if statuses[try-1] == 0 {
			return nil, errors.New("connection reset by peer")
		}
		return response(statuses[try-1], ""), nil
	}}
}

func response(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// clientOf returns a client of a hub "chat" whose requests s answers.
func clientOf(t testing.TB, s *service, change ...func(*webpubsub.ClientOptions)) *webpubsub.Client {
	t.Helper()
	o := webpubsub.ClientOptions{Endpoint: endpoint, Hub: "chat", AccessKey: key, HTTPClient: &http.Client{Transport: s}}
	for _, f := range change {
		f(&o)
	}
	c, err := webpubsub.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// claims checks a token as the service does, and returns what it says.
func claims(t testing.TB, token, audience string) jwt.MapClaims {
	t.Helper()
	c := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return []byte(key), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	if err != nil {
		t.Errorf("token for %s: %v", audience, err)
	}
	return c
}
