package webpubsub_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/internal/testport"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// The host of Azure Functions is not to be had here. What it does is what Microsoft
// documents (https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers):
// it starts the program with FUNCTIONS_CUSTOMHANDLER_PORT, asks with a GET whether
// it is there, and forwards requests with their own path, method, fields and body.
// That it starts this program, and what it does when one is slow, is not shown.
func TestServeFunctions(t *testing.T) {
	u := newUpstream(nil, nil)
	mux := http.NewServeMux()
	mux.Handle("/api/webpubsub", u)
	waiting, goOn := make(chan struct{}), make(chan struct{})
	mux.HandleFunc("/api/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(waiting)
		<-goOn
		_, _ = io.WriteString(w, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	base, ended := serveFunctions(t, ctx, mux)

	if res, _ := ask(t, http.MethodGet, base+"/", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("GET /: %s", res.Status)
	}
	r := userRequest()
	r.Header.Set("X-Forwarded-For", "20.0.0.1:443")
	if res, _ := ask(t, http.MethodPost, base+"/api/webpubsub", r); res.StatusCode != http.StatusNoContent || len(u.events) != 1 {
		t.Errorf("event: %s, %d handled", res.Status, len(u.events))
	}
	r = userRequest()
	if res, _ := ask(t, http.MethodOptions, base+"/api/webpubsub", r); res.Header.Get("WebHook-Allowed-Origin") != host {
		t.Errorf("preflight: %s, %v", res.Status, res.Header)
	}

	// A request that is under way ends before the program does.
	slow := make(chan string)
	go func() {
		_, body := ask(t, http.MethodGet, base+"/api/slow", nil)
		slow <- body
	}()
	<-waiting
	stop()
	for { // until nobody is let in any more
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	close(goOn)
	if body := <-slow; body != "done" {
		t.Errorf("the request that was under way got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeFunctionsElsewhere(t *testing.T) {
	for _, port := range []string{"", "0", "-1", "65536", "http"} {
		t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", port)
		if err := webpubsub.ServeFunctions(t.Context(), http.NotFoundHandler()); err == nil {
			t.Errorf("port %q: no error", port)
		}
	}
}

// serveFunctions starts ServeFunctions and waits until it answers.
func serveFunctions(t *testing.T, ctx context.Context, h http.Handler) (base string, ended chan error) {
	t.Helper()
	port := strconv.Itoa(testport.Port(t))
	t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", port)
	ended = make(chan error, 1)
	go func() { ended <- webpubsub.ServeFunctions(ctx, h) }()
	base = "http://127.0.0.1:" + port
	for {
		res, err := http.Get(base)
		if err == nil {
			res.Body.Close()
			return base, ended
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

// ask makes a request with the fields and the body of r, if there is one.
func ask(t *testing.T, method, url string, r *http.Request) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if r != nil {
		req, err = http.NewRequest(method, url, r.Body)
		req.Header = r.Header
	}
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res, string(body)
}
