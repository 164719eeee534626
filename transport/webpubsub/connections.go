package webpubsub

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// ConnectionExists reports whether a connection is open.
func (c *Client) ConnectionExists(ctx context.Context, id string) (bool, error) {
	name, err := segment("connection", id)
	if err != nil {
		return false, err
	}
	_, err = c.do(ctx, request{method: http.MethodHead, path: "/connections/" + name})
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	return err == nil, err
}

// CloseConnection closes a connection. It is not an error if there is none. The
// reason may be empty; the client is told.
func (c *Client) CloseConnection(ctx context.Context, id, reason string) error {
	name, err := segment("connection", id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{method: http.MethodDelete, path: "/connections/" + name, query: because(reason)})
	return err
}

// CloseUser closes all connections of a user. It is not an error if there are
// none. The reason may be empty; the clients are told.
func (c *Client) CloseUser(ctx context.Context, userID, reason string) error {
	return c.closeAll(ctx, "user", "/users/", userID, reason)
}

// CloseGroup closes all connections that are in a group. It is not an error if
// there are none. The reason may be empty; the clients are told.
func (c *Client) CloseGroup(ctx context.Context, group, reason string) error {
	return c.closeAll(ctx, "group", "/groups/", group, reason)
}

func (c *Client) closeAll(ctx context.Context, what, path, name, reason string) error {
	name, err := segment(what, name)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{method: http.MethodPost, path: path + name + "/:closeConnections", query: because(reason)})
	return err
}

func because(reason string) url.Values {
	if reason == "" {
		return nil
	}
	return url.Values{"reason": {reason}}
}
