package webpubsub

import (
	"context"
	"net/http"
)

// AddToGroup puts a connection into a group, which is there as soon as somebody is
// in it. Twice is once. The error for a connection that is not open is [ErrGone].
// A group's name has 1 to 1,024 characters.
func (c *Client) AddToGroup(ctx context.Context, group, connectionID string) error {
	return c.member(ctx, http.MethodPut, group, connectionID)
}

// RemoveFromGroup takes a connection out of a group. It is not an error if it is
// not in it.
func (c *Client) RemoveFromGroup(ctx context.Context, group, connectionID string) error {
	return c.member(ctx, http.MethodDelete, group, connectionID)
}

func (c *Client) member(ctx context.Context, method, group, connectionID string) error {
	group, err := segment("group", group)
	if err != nil {
		return err
	}
	id, err := segment("connection", connectionID)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{method: method, path: "/groups/" + group + "/connections/" + id})
	return err
}

// RemoveFromAllGroups takes a connection out of all groups. It is not an error if
// it is in none.
func (c *Client) RemoveFromAllGroups(ctx context.Context, connectionID string) error {
	id, err := segment("connection", connectionID)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{method: http.MethodDelete, path: "/connections/" + id + "/groups"})
	return err
}
