package run_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

// A session is commands of curl in one terminal or several: lines that begin
// with "$ ". Lines after a command are what it prints, or what a response prints
// that has not ended; # begins a line that is for readers only, empty ones mean
// nothing, and … stands for any text. A secret begins differently each time: the
// one of the page stands for that of the last stream.
type session struct {
	page      string
	line      int
	newServer func() kanava.Dispatcher
	text      string
}

func TestSessions(t *testing.T) {
	for _, s := range sessions {
		t.Run(fmt.Sprintf("%s:%d", s.page, s.line), s.hold)
	}
}

var (
	argument = regexp.MustCompile(`'[^']*'|\S+`)
	secret   = regexp.MustCompile(`\w{8}\.\w{4}…`)
)

func (s session) hold(t *testing.T) {
	srv := httptest.NewServer(sse.Handler(s.newServer(), sse.Options{}))
	defer srv.CloseClientConnections()
	var stream, printed *bufio.Reader
	up := ""
	for line := range strings.Lines(s.text) {
		line = strings.TrimSuffix(line, "\n")
		command, is := strings.CutPrefix(line, "$ curl ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case is:
			if printed != nil && printed != stream {
				s.end(t, printed)
			}
			res := s.curl(t, srv.URL, secret.ReplaceAllLiteralString(command, up))
			defer res.Body.Close()
			printed = bufio.NewReader(res.Body)
			if up == "" {
				stream, up = printed, res.Header.Get("Kanava-Up")
			}
			if res.StatusCode == http.StatusNoContent {
				printed = stream
			}
		default:
			got := next(t, printed)
			pattern := strings.ReplaceAll(regexp.QuoteMeta(secret.ReplaceAllLiteralString(line, "…")), "…", ".*")
			if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
				t.Fatalf("%s: curl prints\n\t%s\nnot\n\t%s", s.page, got, line)
			}
		}
	}
}

// curl does what curl does with the arguments that the guide uses.
func (s session) curl(t *testing.T, base, command string) *http.Response {
	t.Helper()
	method, target, body := http.MethodGet, "", ""
	header := make(http.Header)
	option := ""
	for _, arg := range argument.FindAllString(command, -1) {
		arg = strings.Trim(arg, "'")
		switch {
		case option == "-H":
			name, value, _ := strings.Cut(arg, ": ")
			header.Set(name, value)
			option = ""
		case option == "-d":
			method, body, option = http.MethodPost, arg, ""
		case arg == "-N":
		case arg == "-H", arg == "-d":
			option = arg
		case strings.HasPrefix(arg, "localhost:3000/"):
			target = strings.TrimPrefix(arg, "localhost:3000")
		default:
			t.Fatalf("%s: curl with %q: add it here", s.page, arg)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// next returns the next line that is not empty.
func next(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { panic("curl prints nothing more") })
	defer late.Stop()
	for {
		line, err := from.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			return line
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s session) end(t *testing.T, printed *bufio.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(printed); err != nil || len(rest) > 0 {
		t.Errorf("%s: curl prints %q besides, %v", s.page, rest, err)
	}
}
