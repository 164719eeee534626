package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"
)

// Which middlewares of the routers let a request become a WebSocket
// connection, and leave that alone afterwards. README.md says the same.
func TestMiddleware(t *testing.T) {
	for _, tt := range []struct {
		name  string
		safe  bool
		serve func(channels http.Handler) http.Handler
	}{
		{"http.TimeoutHandler", false, func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") }},
		{"http.MaxBytesHandler", true, func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 10) }},
		{"http.AllowQuerySemicolons", true, http.AllowQuerySemicolons},
		{"a ResponseWriter that hides its methods", false, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(struct{ http.ResponseWriter }{w}, r) })
		}},
		{"a ResponseWriter with Unwrap", true, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapper{w}, r) })
		}},
		{"chi Logger", true, chiWith(chimw.RequestLogger(&chimw.DefaultLogFormatter{Logger: discard{}, NoColor: true}))},
		{"chi Recoverer", true, chiWith(chimw.Recoverer)},
		{"chi RequestID", true, chiWith(chimw.RequestID)},
		{"chi Compress", true, chiWith(chimw.Compress(gzip.BestSpeed))},
		{"chi Timeout", true, chiWith(chimw.Timeout(time.Minute))},
		{"chi Throttle", true, chiWith(chimw.Throttle(1))},
		{"chi NoCache", true, chiWith(chimw.NoCache)},
		{"chi Heartbeat and CleanPath", true, chiWith(chimw.Heartbeat("/ping"), chimw.CleanPath)},
		{"gin Logger", true, ginWith(gin.LoggerWithWriter(io.Discard))},
		{"gin Recovery", true, ginWith(gin.RecoveryWithWriter(io.Discard))},
		{"echo RequestLogger", true, echoWith(echomw.RequestLoggerWithConfig(echomw.RequestLoggerConfig{
			LogStatus: true, LogValuesFunc: func(echo.Context, echomw.RequestLoggerValues) error { return nil },
		}))},
		{"echo Recover", true, echoWith(echomw.Recover())},
		{"echo Gzip", true, echoWith(echomw.Gzip())},
		{"echo BodyLimit", true, echoWith(echomw.BodyLimit("1K"))},
		{"echo CORS and Secure", true, echoWith(echomw.CORS(), echomw.Secure())},
		{"echo ContextTimeout", true, echoWith(echomw.ContextTimeout(time.Minute))},
		{"echo Timeout", false, echoWith(echomw.TimeoutWithConfig(echomw.TimeoutConfig{Timeout: time.Minute}))}, //nolint:staticcheck // SA1019: deprecated there because of this
	} {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			s := start(t, func(channels http.Handler) http.Handler {
				return tt.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					channels.ServeHTTP(w, r)
					go func() { <-r.Context().Done(); over <- struct{}{} }()
				}))
			})
			c, res, err := s.dial("/rooms/general?name=Ada", nil)
			<-over // the request ends: by itself, or by the middleware
			if !tt.safe {
				if err == nil {
					t.Fatal("connected, which README.md denies")
				}
				body, err := io.ReadAll(res.Body)
				if want := "hides the http.Hijacker"; err != nil || res.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), want) {
					t.Errorf("got %s, %v\n%s\nwant 500 with %q", res.Status, err, body, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.expect(`{"welcome":"Welcome to general, Ada!"}`)
			c.talk()

			second, _, err := s.dial("/rooms/general?name=Bob", nil)
			<-over
			if err != nil {
				t.Fatalf("the second connection: %v", err)
			}
			second.expect(`{"welcome":"Welcome to general, Bob!"}`)
			second.send(`{"action":"say","message":"hello"}`)
			c.expect(`{"topic":"room:general","data":{"name":"Bob","message":"hello"}}`)
		})
	}
}

type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

type discard struct{}

func (discard) Print(...any) {}

func chiWith(with ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(channels http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(with...)
		r.Handle("/rooms/*", channels)
		return r
	}
}

func ginWith(with ...gin.HandlerFunc) func(http.Handler) http.Handler {
	return func(channels http.Handler) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		r.Use(with...)
		r.Any("/rooms/*path", gin.WrapH(channels))
		return r
	}
}

func echoWith(with ...echo.MiddlewareFunc) func(http.Handler) http.Handler {
	return func(channels http.Handler) http.Handler {
		e := echo.New()
		e.Use(with...)
		e.Any("/rooms/*", echo.WrapHandler(channels))
		return e
	}
}
