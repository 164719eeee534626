package webpubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// EventOptions say which events an [EventHandler] takes. The first three are
// needed.
type EventOptions struct {
	// Hub is the name of the hub that the events are of.
	Hub string

	// Hosts are the service's own names, such as name.webpubsub.azure.com, and those
	// of its replicas: no other service may send here.
	Hosts []string

	// AccessKeys are both keys of the service: so either can be replaced while the
	// program runs.
	AccessKeys []string

	// Logger hears what goes wrong here. nil: [slog.Default].
	Logger *slog.Logger
}

// HandleFunc does what an event asks for. It is called by many goroutines, also
// for one connection; the event is the function's own. The context ends when the
// service does not wait any more.
//
// A [*RefusalError] is told to the service. After any other error, which is logged,
// it gets 500 and sends the same event again: Microsoft's emulator does so after 1,
// 3 and 5 seconds. If none of them helps it closes the connection, or does not open
// it; for Connected and Disconnected it does nothing.
type HandleFunc func(ctx context.Context, ev *Event) (*Response, error)

const (
	// mostBody is the service's limit for a message, and room for what stands around
	// it in another encoding: what a client opened the connection with.
	mostBody = 1<<20 + 64<<10

	bodyTime = 15 * time.Second // that a body may take to come
)

// EventHandler returns the handler that the service sends the events of a hub to,
// as its settings say: connect, connected, disconnected and, by the pattern *, all
// of the clients'. It may stand at any path, also at one with {event} in it.
//
// It checks that an event is from the service, by the name of it and a signature
// made with an access key. That signature is one of the connection's id, not of the
// event: who has seen one could write others. So the service must be told an
// https:// address.
//
// A client that offers subprotocols gets the one that the answer to Connect names.
// If that names none, it is the service that chooses: one of its own if there is
// one among them.
//
// It panics if an option is missing.
func EventHandler(handle HandleFunc, o EventOptions) http.Handler {
	switch {
	case handle == nil:
		panic("webpubsub: EventHandler has no HandleFunc")
	case !hubName.MatchString(o.Hub):
		panic(fmt.Sprintf("webpubsub: EventOptions.Hub is %q, which is not a name of a hub", o.Hub))
	case len(o.Hosts) == 0:
		panic("webpubsub: EventOptions has no Hosts")
	case len(o.AccessKeys) == 0:
		panic("webpubsub: EventOptions has no AccessKeys")
	}
	h := &eventHandler{handle: handle, hub: o.Hub, hosts: o.Hosts, log: o.Logger}
	for _, key := range o.AccessKeys {
		if key == "" {
			panic("webpubsub: one of EventOptions.AccessKeys is empty")
		}
		h.keys = append(h.keys, []byte(key))
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	return h
}

type eventHandler struct {
	handle HandleFunc
	hub    string
	hosts  []string
	keys   [][]byte
	log    *slog.Logger
}

func (h *eventHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodOptions:
		h.preflight(w, r)
	case http.MethodPost:
		h.serveEvent(w, r)
	default:
		w.Header().Set("Allow", "OPTIONS, POST")
		writeRefusal(w, refuse(http.StatusMethodNotAllowed, "events come by POST"))
	}
}

const fieldOrigin = "Webhook-Request-Origin"

// preflight answers the question whether the service may send events here:
// https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md#4-abuse-protection.
func (h *eventHandler) preflight(w http.ResponseWriter, r *http.Request) {
	if err := h.checkOrigin(r.Header); err != nil {
		writeRefusal(w, err)
		return
	}
	w.Header().Set("WebHook-Allowed-Origin", r.Header.Get(fieldOrigin))
	w.WriteHeader(http.StatusOK)
}

// checkOrigin refuses all senders but the service.
func (h *eventHandler) checkOrigin(header http.Header) *RefusalError {
	origin := header[fieldOrigin]
	if len(origin) != 1 {
		return refuse(http.StatusBadRequest, "WebHook-Request-Origin is not there once")
	}
	for _, host := range h.hosts {
		if strings.EqualFold(host, origin[0]) {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "events of this service are not taken here")
}

func (h *eventHandler) serveEvent(w http.ResponseWriter, r *http.Request) {
	ev, err := h.read(w, r)
	if err != nil {
		leaveBody(w, r)
		refusal, ok := asRefusal(err)
		if !ok {
			refusal = refuse(http.StatusBadRequest, "the body cannot be read")
		}
		writeRefusal(w, refusal)
		return
	}
	res, err := h.handle(r.Context(), ev)
	if err == nil {
		var a answer
		if a, err = res.encode(ev); err == nil {
			a.write(w)
			return
		}
	}
	if refusal, ok := asRefusal(err); ok {
		writeRefusal(w, refusal)
		return
	}
	h.log.LogAttrs(r.Context(), slog.LevelError, "event of Azure Web PubSub failed",
		slog.String("type", string(ev.Type)), slog.String("connection", ev.ConnectionID), slog.String("event", ev.ID), slog.Any("error", err))
	w.WriteHeader(http.StatusInternalServerError)
}

// read reads and checks an event, from the cheapest check to the dearest.
func (h *eventHandler) read(w http.ResponseWriter, r *http.Request) (*Event, error) {
	if err := h.checkOrigin(r.Header); err != nil {
		return nil, err
	}
	ev, err := decodeHeader(r.Header)
	switch {
	case err != nil:
		return nil, err
	case !signed(r.Header.Get(fieldSignature), ev.ConnectionID, h.keys):
		return nil, refuse(http.StatusUnauthorized, "ce-signature is wrong")
	case !strings.EqualFold(ev.Hub, h.hub):
		return nil, refuse(http.StatusNotFound, "no such hub here")
	}
	t, err := ev.checkContent(r.Header)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := ev.decodeBody(t, body); err != nil {
		return nil, err
	}
	return ev, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", mostBody)
	if r.ContentLength > mostBody {
		return nil, tooLarge
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // not every server has one
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			return nil, tooLarge
		}
		return nil, err
	}
	_ = control.SetReadDeadline(time.Time{})
	return buf.Bytes(), nil
}

// leaveBody keeps net/http from waiting for a body that nobody wants.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
}
