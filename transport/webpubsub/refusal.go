package webpubsub

import (
	"errors"
	"fmt"
	"net/http"
)

// RefusalError is an error of a [HandleFunc] that the service is told. It answers
// Connect by not opening the WebSocket, and the client gets the status and may get
// the text; any other answer to User but success makes it close the connection.
// The service does not send the event again.
type RefusalError struct {
	Status int    // 400 to 499 but 408, 401 and 403 above all
	Text   string // for people; may be empty
}

// Error describes the refusal in one line.
func (r *RefusalError) Error() string {
	return fmt.Sprintf("webpubsub: refused with %d %s: %s", r.Status, http.StatusText(r.Status), r.Text)
}

// refuse makes the refusal of a request.
func refuse(status int, format string, args ...any) *RefusalError {
	return &RefusalError{status, fmt.Sprintf(format, args...)}
}

// asRefusal finds the refusal in an error, if its status is one.
func asRefusal(err error) (*RefusalError, bool) {
	var r *RefusalError
	ok := errors.As(err, &r) && r.Status >= 400 && r.Status <= 499 && r.Status != http.StatusRequestTimeout
	return r, ok
}
