package webpubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenSource gives tokens of Microsoft Entra with the scope
// https://webpubsub.azure.com/.default. It is called for each try of a request,
// by many goroutines, so it should keep a token as long as that is good. With
// azidentity:
//
//	func (s source) Token(ctx context.Context) (string, error) {
//		t, err := s.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://webpubsub.azure.com/.default"}})
//		return t.Token, err
//	}
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// tokenTime is how long a token that the client signs is good, as in Microsoft's
// own clients. The service looks at it when a request comes.
const tokenTime = time.Hour

// token returns what the client shows the service with a request for the address.
func (c *Client) token(ctx context.Context, address string) (string, error) {
	if c.tokens == nil {
		return c.sign(jwt.MapClaims{"aud": address}, tokenTime)
	}
	token, err := c.tokens.Token(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("token for Azure Web PubSub: %w", err)
	case token == "":
		return "", errors.New("token for Azure Web PubSub: the token is empty")
	}
	return token, nil
}

// sign makes a token with the access key.
func (c *Client) sign(claims jwt.MapClaims, valid time.Duration) (string, error) {
	now := time.Now()
	claims["iat"] = now.Unix()
	claims["exp"] = now.Add(valid).Unix()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(c.key)
}
