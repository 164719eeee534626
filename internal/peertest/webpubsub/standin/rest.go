package standin

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// routes are the paths of the REST API, version 2024-12-01:
// https://github.com/Azure/azure-rest-api-specs, specification/webpubsub/data-plane/WebPubSub/stable/2024-12-01/webpubsub.json.
func (s *Service) routes() {
	rest := func(pattern string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.HandleFunc(method+" /api/hubs/{hub}"+path, s.recorded(h))
	}
	everybody := func(r *http.Request) []*connection { return s.inHub(r.PathValue("hub")) }
	one := func(r *http.Request) []*connection {
		if c := s.get(r.PathValue("hub"), r.PathValue("id")); c != nil {
			return []*connection{c}
		}
		return nil
	}
	user := func(r *http.Request) []*connection { return s.ofUser(r.PathValue("hub"), r.PathValue("user")) }
	group := func(r *http.Request) []*connection { return s.inGroup(r.PathValue("hub"), r.PathValue("group")) }

	rest("POST /:send", s.sendTo(everybody))
	rest("POST /connections/{id}/:send", s.sendTo(one))
	rest("POST /users/{user}/:send", s.sendTo(user))
	rest("POST /groups/{group}/:send", s.sendTo(group))

	rest("POST /:closeConnections", closing(everybody))
	rest("DELETE /connections/{id}", closing(one))
	rest("POST /users/{user}/:closeConnections", closing(user))
	rest("POST /groups/{group}/:closeConnections", closing(group))

	rest("HEAD /connections/{id}", exists(one))
	rest("HEAD /users/{user}", exists(user))
	rest("HEAD /groups/{group}", exists(group))

	rest("PUT /groups/{group}/connections/{id}", s.membership(one, true))
	rest("DELETE /groups/{group}/connections/{id}", s.membership(one, false))
	rest("PUT /users/{user}/groups/{group}", s.membership(user, true))
	rest("DELETE /users/{user}/groups/{group}", s.membership(user, false))
	rest("DELETE /connections/{id}/groups", s.noGroups(one))
	rest("DELETE /users/{user}/groups", s.noGroups(user))

	rest("POST /:generateToken", s.generateToken)
}

func (s *Service) inHub(hub string) []*connection {
	return s.all(func(c *connection) bool { return strings.EqualFold(c.hub, hub) })
}

func (s *Service) ofUser(hub, user string) []*connection {
	return s.all(func(c *connection) bool { return strings.EqualFold(c.hub, hub) && c.user == user })
}

func (s *Service) inGroup(hub, group string) []*connection {
	return s.all(func(c *connection) bool { return strings.EqualFold(c.hub, hub) && c.groups[group] })
}

// recorded checks what is the same for all requests, and has them observed.
func (s *Service) recorded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 2*mostData))
		if err != nil {
			return // nobody is there to be answered
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := &recorder{header: w.Header(), status: http.StatusOK}
		fault, retryAfter := 0, ""
		if s.o.Fault != nil {
			fault, retryAfter = s.o.Fault(r)
		}
		switch {
		case fault != 0:
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			rec.WriteHeader(fault)
		case !s.authorized(r):
			rec.WriteHeader(http.StatusUnauthorized)
		case r.URL.Query().Get("api-version") != "2024-12-01":
			fail(rec, http.StatusBadRequest, "Error.BadRequest", "api-version")
		case r.URL.Query().Has("filter"):
			fail(rec, http.StatusNotImplemented, "Error.NotImplemented", "this stand-in knows no filters")
		default:
			h(rec, r)
		}
		s.observe(Exchange{
			Method: r.Method, URL: endpoint(r) + r.RequestURI, Header: r.Header, Body: body,
			Status: rec.status, AnswerHeader: w.Header().Clone(), Answer: rec.body.Bytes(),
		})
		w.WriteHeader(rec.status)
		_, _ = w.Write(rec.body.Bytes()) // who has gone does not get it
	}
}

// recorder holds an answer back until it has been observed: so who has got it can
// rely on that.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// fail answers with an ErrorDetail.
func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("x-ms-error-code", code)
	answer(w, status, map[string]any{"code": code, "message": message, "target": nil, "details": nil, "innererror": nil})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(v))
}

func (s *Service) sendTo(whom func(*http.Request) []*connection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, known := kindOf(r.Header.Get("Content-Type"))
		body, err := io.ReadAll(r.Body)
		switch {
		case !known:
			w.WriteHeader(http.StatusUnsupportedMediaType)
		case err != nil || len(body) > mostData:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case kind == "json" && !jsontext.Value(body).IsValid():
			fail(w, http.StatusBadRequest, "Error.BadRequest", "The request body is not a valid JSON.")
		default:
			for _, c := range without(whom(r), r) {
				c.deliver(data{kind, body}, map[string]any{"from": "server"})
			}
			w.WriteHeader(http.StatusAccepted)
		}
	}
}

// without leaves out what a request excludes.
func without(all []*connection, r *http.Request) []*connection {
	excluded := r.URL.Query()["excluded"]
	return slices.DeleteFunc(all, func(c *connection) bool { return slices.Contains(excluded, c.id) })
}

func closing(whom func(*http.Request) []*connection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reason := r.URL.Query().Get("reason")
		for _, c := range without(whom(r), r) {
			c.close(reason)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func exists(whom func(*http.Request) []*connection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(whom(r)) == 0 {
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

func (s *Service) membership(whom func(*http.Request) []*connection, in bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found := whom(r)
		for _, c := range found {
			s.member(c, r.PathValue("group"), in)
		}
		switch {
		case !in:
			w.WriteHeader(http.StatusNoContent)
		case len(found) == 0:
			fail(w, http.StatusNotFound, "Info.Connection.NotExisted", "Connection is not found.")
		}
	}
}

func (s *Service) noGroups(whom func(*http.Request) []*connection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, c := range whom(r) {
			s.mu.Lock()
			clear(c.groups)
			s.mu.Unlock()
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Service) generateToken(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	minutes := 60
	if text := query.Get("minutesToExpire"); text != "" {
		var err error
		if minutes, err = strconv.Atoi(text); err != nil || minutes < 1 {
			fail(w, http.StatusBadRequest, "Error.BadRequest", "minutesToExpire")
			return
		}
	}
	token, err := s.clientToken(r, r.PathValue("hub"), query.Get("userId"), query["role"], query["group"], time.Duration(minutes)*time.Minute)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusOK, map[string]string{"token": token})
}
