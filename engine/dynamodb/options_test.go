package dynamodb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine/dynamodb"
)

func TestOptions(t *testing.T) {
	client := clientOf(t, "127.0.0.1:1")
	for _, c := range []struct {
		what string
		opts dynamodb.Options
		want string
	}{
		{"no client", dynamodb.Options{}, "no client"},
		{"a negative time", dynamodb.Options{Client: client, Poll: -1}, "-1ns"},
		{"looks without a pause", dynamodb.Options{Client: client, Poll: time.Microsecond}, "1µs"},
		{"looks an hour apart", dynamodb.Options{Client: client, Poll: time.Hour}, "1h"},
	} {
		if _, err := dynamodb.New(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	if _, err := dynamodb.New(dynamodb.Options{Client: client}); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
