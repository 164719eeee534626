package chat

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// Tokens issues and checks the tokens that clients sign in with. A real
// program has its own way of finding out who somebody is; here anybody can be
// anybody.
type Tokens struct {
	secret   []byte
	lifetime time.Duration
}

// NewTokens makes tokens that are good for lifetime. It uses secret, or a
// random one if it is empty: then tokens end with the process.
func NewTokens(secret string, lifetime time.Duration) *Tokens {
	t := &Tokens{[]byte(secret), lifetime}
	if secret == "" {
		t.secret = []byte(rand.Text())
	}
	return t
}

type claims struct {
	jwt.RegisteredClaims
	Role string `json:"role"`
}

// Issue makes a token for a user.
func (t *Tokens) Issue(user, role string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   user,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(t.lifetime)),
		},
		Role: role,
	}).SignedString(t.secret)
}

// Verify returns the user of a token.
func (t *Tokens) Verify(token string) (User, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c,
		func(*jwt.Token) (any, error) { return t.secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	if err != nil {
		return User{}, fmt.Errorf("verify token: %w", err)
	}
	return User{ID: c.Subject, Role: c.Role, Until: c.ExpiresAt.Time}, nil
}

// ServeHTTP answers GET /token?user=alice&role=member with a token.
func (t *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, role := r.FormValue("user"), r.FormValue("role")
	if role == "" {
		role = "member"
	}
	if err := checkUser(user, role); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	token, err := t.Issue(user, role)
	if err != nil {
		http.Error(w, "cannot issue a token", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"token": token})
}

func checkUser(user, role string) error {
	switch n := utf8.RuneCountInString(user); {
	case n == 0:
		return errors.New("user is missing")
	case n > 64:
		return errors.New("user is longer than 64 characters")
	case role != "member" && role != "admin":
		return errors.New("role is member or admin")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, v) // the client is gone if this fails
}
