package standin

import (
	"context"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// serve does what a client of json.webpubsub.azure.v1 asks for, and reports false
// if it asks in a wrong way:
// https://learn.microsoft.com/azure/azure-web-pubsub/reference-json-webpubsub-subprotocol.
func (c *connection) serve(ctx context.Context, kind websocket.MessageType, b []byte) bool {
	var m struct {
		Type     string         `json:"type"`
		Group    string         `json:"group"`
		Event    string         `json:"event"`
		AckID    *uint64        `json:"ackId"`
		NoEcho   bool           `json:"noEcho"`
		DataType string         `json:"dataType"`
		Data     jsontext.Value `json:"data"`
	}
	if kind != websocket.MessageText || json.Unmarshal(b, &m) != nil {
		return false
	}
	if m.AckID != nil && c.done(*m.AckID) {
		c.nack(*m.AckID, "Duplicate", "the ackId was used before")
		return true
	}
	var d data
	ok := true
	if m.Type == "event" || m.Type == "sendToGroup" {
		d, ok = dataOf(m.DataType, m.Data)
	}
	if m.Type == "event" && m.Event == "" || m.Type != "event" && m.Type != "ping" && m.Group == "" || !ok {
		return false
	}
	fault := ""
	s := c.service
	switch m.Type {
	case "ping":
		c.tell(map[string]any{"type": "pong"})
	case "joinGroup", "leaveGroup":
		if fault = "Forbidden"; c.may("webpubsub.joinLeaveGroup", m.Group) {
			fault = ""
			s.member(c, m.Group, m.Type == "joinGroup")
		}
	case "sendToGroup":
		if fault = "Forbidden"; c.may("webpubsub.sendToGroup", m.Group) {
			fault = ""
			head := map[string]any{"from": "group", "group": m.Group, "fromUserId": c.user}
			for _, other := range s.inGroup(c.hub, m.Group) {
				if !m.NoEcho || other != c {
					other.deliver(d, head)
				}
			}
		}
	case "event":
		if !c.userEvent(ctx, m.Event, d) {
			fault = "InternalServerError"
		}
	default:
		return false
	}
	switch {
	case m.AckID == nil:
	case fault != "":
		c.nack(*m.AckID, fault, "see the documents")
	default:
		c.ack(*m.AckID)
	}
	return true
}

func (c *connection) done(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked[id]
}

func (c *connection) ack(id uint64) {
	c.mu.Lock()
	if c.acked == nil {
		c.acked = map[uint64]bool{}
	}
	c.acked[id] = true
	c.mu.Unlock()
	c.tell(map[string]any{"type": "ack", "ackId": id, "success": true})
}

func (c *connection) nack(id uint64, name, message string) {
	c.tell(map[string]any{"type": "ack", "ackId": id, "success": false, "error": map[string]string{"name": name, "message": message}})
}

// member puts a connection into a group or takes it out.
func (s *Service) member(c *connection, group string, in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in {
		c.groups[group] = true
	} else {
		delete(c.groups, group)
	}
}
