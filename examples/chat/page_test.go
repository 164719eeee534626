package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/examples/internal/onepage"
)

func getPage(t *testing.T) (http.Header, string) {
	t.Helper()

	rec := httptest.NewRecorder()
	page().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status = %d, want 200", rec.Code)
	}
	return rec.Header(), rec.Body.String()
}

func TestPageIsOneDocument(t *testing.T) {
	header, body := getPage(t)

	if got := header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options = %q", got)
	}
	// References inside the document (#mark) and the icon (data:) load nothing.
	for _, ref := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if !strings.HasPrefix(ref[1], "#") && !strings.HasPrefix(ref[1], "data:") {
			t.Errorf("the page refers to %q", ref[1])
		}
	}
	for _, loads := range []string{"@import", "url(", "import ", "\nexport "} {
		if strings.Contains(body, loads) {
			t.Errorf("the page contains %q", loads)
		}
	}
}

// A browser hashes what stands between the tags, so the policy has to name
// that and nothing wider.
func TestPagePolicyFitsItsScriptAndStyle(t *testing.T) {
	header, body := getPage(t)
	policy := header.Get("Content-Security-Policy")

	for directive, element := range map[string]string{
		"script-src": `(?s)<script[^>]*>(.*?)</script>`,
		"style-src":  `(?s)<style>(.*?)</style>`,
	} {
		found := regexp.MustCompile(element).FindAllStringSubmatch(body, -1)
		if len(found) != 1 {
			t.Errorf("%d elements for %s, want 1", len(found), directive)
			continue
		}
		want := directive + " " + onepage.HashOf(found[0][1])
		if !strings.Contains(policy, want+";") {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	for _, wide := range []string{"unsafe", "*", "http"} {
		if strings.Contains(policy, wide) {
			t.Errorf("policy %q contains %q", policy, wide)
		}
	}
	for _, attribute := range []string{" style=", " onclick=", " onload=", " onerror="} {
		if strings.Contains(body, attribute) {
			t.Errorf("the page contains %q, which its policy forbids", attribute)
		}
	}
}

func pageFile(t *testing.T, name string) string {
	t.Helper()
	content, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestModulesComeAfterWhatTheyImport(t *testing.T) {
	files, err := filepath.Glob("page/*.js")
	if err != nil || len(files) != len(modules) {
		t.Errorf("page has %d modules, of which the document has %d (%v)", len(files), len(modules), err)
	}
	imported := regexp.MustCompile(`(?m)^import .*"\./(.*)";$`)
	there := map[string]bool{}
	for _, name := range modules {
		for _, of := range imported.FindAllStringSubmatch(pageFile(t, name), -1) {
			if !there[of[1]] {
				t.Errorf("%s imports %s, which is not before it", name, of[1])
			}
		}
		there[name] = true
	}
}
