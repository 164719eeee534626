package standin

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims checks a token that was signed with one of the keys for an audience.
func (s *Service) claims(token, audience string) (jwt.MapClaims, bool) {
	for _, key := range s.o.Keys {
		c := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return []byte(key), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Minute))
		if err == nil {
			return c, true
		}
	}
	return nil, false
}

// endpoint is the address of the service as the client of a request knows it.
func endpoint(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// authorized checks a request of the REST API: its token is one for its address.
func (s *Service) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	if s.o.Entra != "" && token == s.o.Entra {
		return true
	}
	_, ok = s.claims(token, endpoint(r)+r.RequestURI)
	return ok
}

func clientAudience(r *http.Request, hub string) string {
	return endpoint(r) + "/client/hubs/" + hub
}

// clientToken makes what :generateToken answers with.
func (s *Service) clientToken(r *http.Request, hub, user string, roles, groups []string, valid time.Duration) (string, error) {
	c := jwt.MapClaims{"aud": clientAudience(r, hub), "exp": time.Now().Add(valid).Unix()}
	if user != "" {
		c["sub"] = user
	}
	if len(roles) > 0 {
		c["role"] = roles
	}
	if len(groups) > 0 {
		c["webpubsub.group"] = groups
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(s.o.Keys[0]))
}

// lists turns claims into what the connect event has: each with a list of texts.
func lists(c jwt.MapClaims) map[string][]string {
	all := map[string][]string{}
	for name, v := range c {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			if n, ok := v.(float64); ok {
				v = int64(n)
			}
			all[name] = append(all[name], fmt.Sprint(v))
		}
	}
	return all
}
