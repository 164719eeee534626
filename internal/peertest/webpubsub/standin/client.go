package standin

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

const jsonProtocol = "json.webpubsub.azure.v1"

// serveClient opens a connection: token, connect event, WebSocket.
func (s *Service) serveClient(w http.ResponseWriter, r *http.Request) {
	hub := r.PathValue("hub")
	query := r.URL.Query()
	token := query.Get("access_token")
	query.Del("access_token")
	claims := jwt.MapClaims{}
	if token != "" || !s.o.Anonymous {
		var ok bool
		if claims, ok = s.claims(token, clientAudience(r, hub)); !ok {
			http.Error(w, "the token is not one for this hub", http.StatusUnauthorized)
			return
		}
	}
	told := lists(claims)
	c := &connection{
		service: s, id: rand.Text(), hub: hub, host: r.Host,
		roles: told["role"], groups: map[string]bool{}, out: make(chan frame, queued), ended: make(chan struct{}),
	}
	c.user, _ = claims["sub"].(string)
	groups := told["webpubsub.group"]

	header := r.Header.Clone()
	header.Del("Authorization")
	offered := []string{}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			offered = append(offered, strings.TrimSpace(p))
		}
	}
	body := encode(map[string]any{
		"claims": told, "query": query, "headers": header, "subprotocols": offered, "clientCertificates": []string{},
	})
	res, err := s.send(r.Context(), c, event{kind: "sys", name: "connect", data: data{"json", body}})
	var accept struct {
		UserID      *string  `json:"userId"`
		Roles       []string `json:"roles"`
		Groups      []string `json:"groups"`
		Subprotocol string   `json:"subprotocol"`
	}
	switch {
	case err != nil && err != errNoUpstream: //nolint:errorlint // it is not wrapped
		http.Error(w, "connect event: "+err.Error(), http.StatusInternalServerError)
		return
	case err == nil && !res.ok():
		http.Error(w, "refused by the handler of events", res.status)
		return
	case len(res.body) > 0 && json.Unmarshal(res.body, &accept) != nil:
		http.Error(w, "the answer to connect is not JSON", http.StatusInternalServerError)
		return
	}
	if accept.UserID != nil {
		c.user = *accept.UserID
	}
	if accept.Roles != nil {
		c.roles = accept.Roles
	}
	if len(accept.Groups) > 0 {
		groups = accept.Groups
	}
	for _, g := range groups {
		c.groups[g] = true
	}
	c.keepState(res.header)
	c.subprotocol = accept.Subprotocol
	if c.subprotocol == "" && slices.Contains(offered, jsonProtocol) {
		c.subprotocol = jsonProtocol
	}
	s.run(w, r, c)
}

// run opens the WebSocket and serves it until it ends.
func (s *Service) run(w http.ResponseWriter, r *http.Request, c *connection) {
	o := &websocket.AcceptOptions{InsecureSkipVerify: true} // pages come from anywhere
	if c.subprotocol != "" {
		o.Subprotocols = []string{c.subprotocol}
	}
	// Who is told that the WebSocket is open can be sent to. What is done for a
	// connection outlives the request that opened it.
	ctx, cut := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cut()
	c.cut = cut
	s.mu.Lock()
	s.connections[c.id] = c
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	defer s.forget(c)
	socket, err := websocket.Accept(w, r, o)
	if err != nil {
		return // it has answered
	}
	defer socket.CloseNow() //nolint:errcheck // it is over in any case
	socket.SetReadLimit(mostData)

	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write(ctx, socket)
	}()
	c.notify("connected", data{"json", []byte("{}")})
	if c.subprotocol == jsonProtocol {
		c.tell(map[string]any{"type": "system", "event": "connected", "userId": c.user, "connectionId": c.id})
	}
	reason := c.read(ctx, socket)

	s.forget(c)
	close(c.ended)
	<-written
	c.notify("disconnected", data{"json", encode(map[string]string{"reason": reason})})
}

func (s *Service) forget(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c.id)
}
