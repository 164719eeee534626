package webpubsub

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"sync"
)

// SendToConnection sends to one connection. nil says that the service has
// accepted the message, not that the connection is there, or has got it.
func (c *Client) SendToConnection(ctx context.Context, id string, m Message) error {
	return c.send(ctx, "connection", "/connections/", id, nil, m)
}

// SendToUser sends to all connections of a user.
func (c *Client) SendToUser(ctx context.Context, userID string, m Message) error {
	return c.send(ctx, "user", "/users/", userID, nil, m)
}

// SendToGroup sends to the connections that are in a group, but not to those of
// the ids. They are part of the request's address: some hundred are too many.
func (c *Client) SendToGroup(ctx context.Context, group string, m Message, except ...string) error {
	return c.send(ctx, "group", "/groups/", group, except, m)
}

// SendToAll sends to all connections of the hub, but not to those of the ids. They
// are part of the request's address: some hundred are too many.
func (c *Client) SendToAll(ctx context.Context, m Message, except ...string) error {
	_, err := c.do(ctx, request{http.MethodPost, "/:send", excluded(except), &m})
	return err
}

func (c *Client) send(ctx context.Context, what, path, name string, except []string, m Message) error {
	name, err := segment(what, name)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{http.MethodPost, path + name + "/:send", excluded(except), &m})
	return err
}

func excluded(ids []string) url.Values {
	if len(ids) == 0 {
		return nil
	}
	return url.Values{"excluded": ids}
}

// SendToConnections sends to many connections, one request each: a group does the
// same in one. It returns when all have been tried, and says which of them failed,
// and why; nil if none did. It ranges over the ids no faster than requests are
// made. When the context ends, the rest fail with its error.
func (c *Client) SendToConnections(ctx context.Context, ids iter.Seq[string], m Message) map[string]error {
	var (
		mu     sync.Mutex
		failed map[string]error // guarded by mu
		todo   = make(chan string)
		wait   sync.WaitGroup
	)
	work := func() {
		for id := range todo {
			err := c.SendToConnection(ctx, id, m)
			if err == nil {
				continue
			}
			mu.Lock()
			if failed == nil {
				failed = map[string]error{}
			}
			failed[id] = err
			mu.Unlock()
		}
	}
	workers := 0
	for id := range ids {
		select {
		case todo <- id:
			continue
		default:
		}
		if workers < cap(c.slots) { // all that there are, are busy
			workers++
			wait.Go(work)
		}
		todo <- id
	}
	close(todo)
	wait.Wait()
	return failed
}
