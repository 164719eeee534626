package webpubsub

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// Access is what a client that connects with an address of [Client.ClientURL] is
// and may do. The zero value is a client without a name that may only send events.
type Access struct {
	UserID string

	// Roles count for clients of the service's own subprotocols:
	// webpubsub.joinLeaveGroup, webpubsub.sendToGroup, or one of these with the name
	// of a group behind it, such as webpubsub.sendToGroup.news.
	Roles []string

	// Groups are those that the connection is in from the start.
	Groups []string

	// Valid is how long a client may take to connect; the default is an hour. An
	// open connection stays open after it. With tokens of Microsoft Entra it counts
	// in whole minutes, rounded up.
	Valid time.Duration
}

// ClientURL returns the address that a client connects to with a WebSocket. It
// contains the client's token, which is a secret. With an access key it asks
// nobody, with tokens of Microsoft Entra the service makes it.
func (c *Client) ClientURL(ctx context.Context, a Access) (string, error) {
	if a.Valid < 0 {
		return "", errors.New("webpubsub: Access.Valid is negative")
	}
	a.Valid = orDefault(a.Valid, time.Hour)
	address := c.endpoint.String() + "/client/hubs/" + url.PathEscape(c.hub)
	token, err := c.clientToken(ctx, address, a)
	if err != nil {
		return "", err
	}
	return "ws" + strings.TrimPrefix(address, "http") + "?access_token=" + url.QueryEscape(token), nil
}

func (c *Client) clientToken(ctx context.Context, address string, a Access) (string, error) {
	if c.tokens != nil {
		return c.generateToken(ctx, a)
	}
	claims := jwt.MapClaims{"aud": address}
	if a.UserID != "" {
		claims["sub"] = a.UserID
	}
	if len(a.Roles) > 0 {
		claims["role"] = a.Roles
	}
	if len(a.Groups) > 0 {
		claims["webpubsub.group"] = a.Groups
	}
	return c.sign(claims, a.Valid)
}

// generateToken has the service make a client's token.
func (c *Client) generateToken(ctx context.Context, a Access) (string, error) {
	minutes := int64((a.Valid + time.Minute - 1) / time.Minute)
	query := url.Values{"minutesToExpire": {strconv.FormatInt(minutes, 10)}}
	if a.UserID != "" {
		query.Set("userId", a.UserID)
	}
	if len(a.Roles) > 0 {
		query["role"] = a.Roles
	}
	if len(a.Groups) > 0 {
		query["group"] = a.Groups
	}
	body, err := c.do(ctx, request{method: http.MethodPost, path: "/:generateToken", query: query})
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", errors.New("webpubsub: the service answered without a token")
	}
	return answer.Token, nil
}
