package webpubsub

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// ErrGone is what errors.Is finds in the error for a connection, a user or a
// group that the service does not know: a 404. The service tells it when a
// connection is put into a group. It does not when something is sent or closed:
// then it accepts what it can do nothing with.
var ErrGone = errors.New("not known to Azure Web PubSub")

// ResponseError is an answer of the service other than success.
type ResponseError struct {
	Status     int           // of HTTP
	Code       string        // the service's word for it, such as Info.Connection.NotExisted; may be empty
	Message    string        // for people, in English; may be empty
	RetryAfter time.Duration // what the service asks to wait for; 0 if it does not
}

// Error describes the answer in one line, for logs.
func (e *ResponseError) Error() string {
	s := fmt.Sprintf("webpubsub: the service answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		s += ", " + e.Code
	}
	if e.Message != "" {
		s += ": " + strconv.Quote(e.Message)
	}
	return s
}

// Is reports whether the target is [ErrGone] and the answer was 404.
func (e *ResponseError) Is(target error) bool {
	return target == ErrGone && e.Status == http.StatusNotFound
}

// mostMessage is how many bytes of the service's own text an error keeps.
const mostMessage = 1024

// newResponseError reads an answer as the API's definition has it: ErrorDetail,
// and the code once more in a header, which is all there is for HEAD.
func newResponseError(res *http.Response, body []byte) *ResponseError {
	var detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	e := &ResponseError{Status: res.StatusCode, Code: res.Header.Get("X-Ms-Error-Code"), RetryAfter: parseRetryAfter(res.Header.Get("Retry-After"))}
	if json.Unmarshal(body, &detail) == nil {
		e.Message = detail.Message[:min(len(detail.Message), mostMessage)]
		if e.Code == "" {
			e.Code = detail.Code[:min(len(detail.Code), mostMessage)]
		}
	}
	return e
}

// parseRetryAfter reads both forms of RFC 9110 section 10.2.3; 0 is none, or
// nothing that one could read.
func parseRetryAfter(s string) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
