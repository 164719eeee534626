package httperr

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

func TestWrite(t *testing.T) {
	limited := kanava.Errorf(kanava.CodeResourceExhausted, "slow down")
	limited.RetryAfter = 1001 * time.Millisecond
	tests := []struct {
		proves     string
		status     int
		err        error
		wantStatus int
		wantRetry  string
		want       string
	}{
		{
			"details are told", 0, kanava.Invalid("/room", "too long"), 400, "",
			`{"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/room","message":"too long"}]}}`,
		},
		{"Retry-After is in whole seconds, rounded up", 0, limited, 429, "2", `{"error":{"code":"resource_exhausted","message":"slow down","retryAfter":1001}}`},
		{"a status of its own", 426, kanava.Errorf(kanava.CodeFailedPrecondition, "upgrade"), 426, "", `{"error":{"code":"failed_precondition","message":"upgrade"}}`},
		{"a cause is not told", 0, kanava.Errorf(kanava.CodeNotFound, "no such room").Because(errors.New("secret")), 404, "", `{"error":{"code":"not_found","message":"no such room"}}`},
		{"any other error is internal", 0, errors.New("secret"), 500, "", `{"error":{"code":"internal","message":"internal error"}}`},
		{"invalid UTF-8 is replaced", 0, kanava.Errorf(kanava.CodeNotFound, "\xff"), 404, "", `{"error":{"code":"not_found","message":"` + "\uFFFD" + `"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Encoding", "gzip")
			if tt.status != 0 {
				WriteStatus(w, tt.status, tt.err)
			} else {
				Write(w, tt.err)
			}
			h := w.Header()
			if w.Code != tt.wantStatus || w.Body.String() != tt.want {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, tt.wantStatus, tt.want)
			}
			if h.Get("Retry-After") != tt.wantRetry || h.Get("Content-Type") != "application/json" ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Encoding") != "" {
				t.Errorf("header %v", h)
			}
		})
	}
}
