package webpubsub

import (
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// The names of fields are those of CloudEvents in binary mode, and of Web PubSub's
// extension of it:
// https://learn.microsoft.com/azure/azure-web-pubsub/reference-cloud-events.
const (
	fieldVersion      = "Ce-Specversion"
	fieldType         = "Ce-Type"
	fieldID           = "Ce-Id"
	fieldTime         = "Ce-Time"
	fieldSignature    = "Ce-Signature"
	fieldUserID       = "Ce-Userid"
	fieldHub          = "Ce-Hub"
	fieldConnectionID = "Ce-Connectionid"
	fieldSubprotocol  = "Ce-Subprotocol"
	fieldState        = "Ce-Connectionstate"

	systemPrefix = "azure.webpubsub.sys."
	userPrefix   = "azure.webpubsub.user."

	mostID = 512 // bytes of the id of a connection or of an event
)

// decodeHeader reads all of an event but its body. Errors are refusals.
func decodeHeader(h http.Header) (*Event, error) {
	for _, name := range []string{
		fieldVersion, fieldType, fieldID, fieldTime, fieldUserID, fieldHub,
		fieldConnectionID, fieldSubprotocol, fieldState, "Content-Type",
	} {
		values := h[name]
		switch {
		case len(values) > 1:
			return nil, refuse(http.StatusBadRequest, "%s is there twice", name)
		case len(values) == 1 && !utf8.ValidString(values[0]):
			return nil, refuse(http.StatusBadRequest, "%s is not UTF-8", name)
		}
	}
	ev := &Event{
		ID:           h.Get(fieldID),
		Hub:          h.Get(fieldHub),
		ConnectionID: h.Get(fieldConnectionID),
		UserID:       h.Get(fieldUserID),
		Subprotocol:  h.Get(fieldSubprotocol),
		State:        h.Get(fieldState),
	}
	if err := ev.setType(h.Get(fieldType)); err != nil {
		return nil, err
	}
	var err error
	ev.Time, err = time.Parse(time.RFC3339, h.Get(fieldTime))
	switch {
	case h.Get(fieldVersion) != "1.0":
		return nil, refuse(http.StatusBadRequest, "not a CloudEvent of version 1.0")
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "ce-time is not a time")
	case ev.ID == "" || len(ev.ID) > mostID:
		return nil, refuse(http.StatusBadRequest, "ce-id is missing or too long")
	case ev.ConnectionID == "" || len(ev.ConnectionID) > mostID:
		return nil, refuse(http.StatusBadRequest, "ce-connectionId is missing or too long")
	}
	return ev, nil
}

func (ev *Event) setType(s string) error {
	name, user := strings.CutPrefix(s, userPrefix)
	if user && name != "" {
		ev.Type, ev.Name = User, name
		return nil
	}
	switch t := EventType(strings.TrimPrefix(s, systemPrefix)); {
	case !strings.HasPrefix(s, systemPrefix):
	case t == Connect, t == Connected, t == Disconnected:
		ev.Type, ev.Name = t, string(t)
		return nil
	}
	return refuse(http.StatusBadRequest, "ce-type is not one of Web PubSub")
}

// checkContent finds out what a body is, before it is read. The type is "" where
// it is the service's own JSON, and not a message.
func (ev *Event) checkContent(h http.Header) (DataType, error) {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") || h.Get("Content-Encoding") != "" {
		return "", refuse(http.StatusUnsupportedMediaType, "the body is of a type that Web PubSub does not send")
	}
	for _, t := range []DataType{Text, JSON, Binary} {
		switch {
		case media != t.contentType():
		case ev.Type == User:
			return t, nil
		case t == JSON:
			return "", nil
		}
	}
	return "", refuse(http.StatusUnsupportedMediaType, "the body is of a type that Web PubSub does not send with this event")
}

// decodeBody reads the body. A member that is not known is one of a newer service.
func (ev *Event) decodeBody(t DataType, body []byte) error {
	var err error
	switch ev.Type {
	case User:
		ev.Message = Message{t, body}
	case Connect:
		ev.Connecting = &Connecting{}
		err = json.Unmarshal(body, ev.Connecting)
	case Disconnected:
		var b struct {
			Reason string `json:"reason"`
		}
		err = json.Unmarshal(body, &b)
		ev.Reason = b.Reason
	case Connected: // an empty object, which nobody needs
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the body is not that of a %s event", ev.Type)
	}
	return nil
}
