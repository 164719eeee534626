// Package standin stands in for Azure Web PubSub, which is not to be had on one's
// own machine: it holds WebSocket connections, posts their events to a handler, and
// has the REST API. It was written after Microsoft's documents, and is proven
// against Microsoft's own event handler, service client and WebSocket client in the
// package around it; where the documents leave something open it does what the
// source of Microsoft's emulator does (github.com/Azure/azure-webpubsub,
// tools/emulator), which needs .NET.
//
// What it cannot show: limits and throttling of the real service and what it does
// at them, delivery across its machines, what happens at deploys and failures of
// it, the answers of its front (nginx) to broken requests, identities of Microsoft
// Entra, its reliable, protobuf and MQTT clients, filters, permissions changed at
// run time, and times: here nothing is far away.
package standin

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options of a [Service].
type Options struct {
	// Keys are the service's access keys, primary and secondary.
	Keys [2]string

	// Entra is the one token of Microsoft Entra that the REST API takes; "" for none.
	// A real one is checked by signature, audience and role.
	Entra string

	// Anonymous lets clients in that show no token; the handler of events can refuse
	// them.
	Anonymous bool

	// Waits are those before an event is posted again; nil is what the emulator does.
	Waits []time.Duration

	// Observe gets each request with its answer: those of the REST API, and those to
	// the handler of events. It is called one at a time.
	Observe func(Exchange)

	// Fault may answer a request of the REST API in place of the service: a status
	// other than 0, with a Retry-After if that is not "".
	Fault func(r *http.Request) (status int, retryAfter string)
}

// Exchange is a request and its answer.
type Exchange struct {
	Event bool // to the handler of events; otherwise one of the REST API

	Method, URL string
	Header      http.Header
	Body        []byte

	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

// Service is the stand-in: a handler to be served by httptest or by any server.
// The endpoint, and the name as which it signs events, are the host that it is
// asked by.
type Service struct {
	o    Options
	mux  *http.ServeMux
	post http.Client

	observing sync.Mutex // one call of Observe at a time

	mu          sync.Mutex
	upstream    string                 // guarded by mu: address of the handler of events, with {hub} and {event}
	validated   map[string]bool        // guarded by mu: addresses that have allowed this service
	connections map[string]*connection // guarded by mu: by id
	running     sync.WaitGroup         // connections, and events that nobody waits for
}

// New returns a service without connections, which knows no handler of events.
func New(o Options) *Service {
	if o.Waits == nil {
		o.Waits = []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}
	}
	s := &Service{o: o, mux: http.NewServeMux(), validated: map[string]bool{}, connections: map[string]*connection{}}
	s.post.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	s.post.Timeout = 100 * time.Second
	s.mux.HandleFunc("GET /client/hubs/{hub}", s.serveClient)
	s.routes()
	return s
}

// SetUpstream says where events go: an address in which {hub} and {event} stand for
// these.
func (s *Service) SetUpstream(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = address
}

// Close ends all connections and returns when their last events are done.
func (s *Service) Close() {
	for _, c := range s.all(func(*connection) bool { return true }) {
		c.close("the service ends")
	}
	s.running.Wait()
	s.post.CloseIdleConnections()
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Connections returns how many there are.
func (s *Service) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connections)
}

// all returns the connections for which is reports true; it is called with s.mu
// held.
func (s *Service) all(is func(*connection) bool) []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*connection
	for _, c := range s.connections {
		if is(c) {
			found = append(found, c)
		}
	}
	return found
}

// get returns an open connection of a hub, or nil.
func (s *Service) get(hub, id string) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.connections[id]; c != nil && strings.EqualFold(c.hub, hub) {
		return c
	}
	return nil
}

func (s *Service) observe(x Exchange) {
	if s.o.Observe != nil {
		s.observing.Lock()
		defer s.observing.Unlock()
		s.o.Observe(x)
	}
}
