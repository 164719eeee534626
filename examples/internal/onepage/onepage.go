// Package onepage serves a page of several files as one document that loads
// nothing else, under a policy that lets the browser run exactly the script and
// the style that are in it.
package onepage

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Handler puts the style and the modules of files into its index.html. Each
// module stands after those that it imports; they become one, so what they
// import from and export to each other falls away. It panics if the page is not
// whole.
func Handler(files fs.FS, modules ...string) http.Handler {
	document, policy := assemble(files, modules)
	length := strconv.Itoa(len(document))

	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", length)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(document) // an error means the browser left
	})
}

func assemble(files fs.FS, modules []string) (document []byte, policy string) {
	style := read(files, "style.css")
	var scripts strings.Builder
	for _, name := range modules {
		scripts.WriteString(between.ReplaceAllString(read(files, name), ""))
	}
	script := scripts.String()
	declared := map[string]bool{}
	for _, m := range declaration.FindAllStringSubmatch(script, -1) {
		if declared[m[1]] {
			panic("onepage: two modules have their own " + m[1])
		}
		declared[m[1]] = true
	}

	html := read(files, "index.html")
	html = replaceOne(html, `<link rel="stylesheet" href="style.css">`, "<style>"+style+"</style>")
	last := modules[len(modules)-1]
	html = replaceOne(html, `<script type="module" src="`+last+`"></script>`, `<script type="module">`+script+"</script>")

	return []byte(html), strings.Join([]string{
		"default-src 'none'",
		"script-src " + HashOf(script),
		"style-src " + HashOf(style),
		"img-src data:", // the icon
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	}, "; ")
}

// between matches what modules say to each other.
var between = regexp.MustCompile(`(?m)^(import .*;$|export )`)

// declaration matches what a module declares, without the indentation of what
// stands inside.
var declaration = regexp.MustCompile(`(?m)^(?:async )?(?:function\*?|const|let|class) (\w+)`)

func read(files fs.FS, name string) string {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		panic("onepage: " + err.Error())
	}
	// The browser takes the hash after it has made every line end in LF.
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}

// replaceOne panics unless old occurs once: a page without its script or its
// style should not start.
func replaceOne(s, old, replacement string) string {
	if strings.Count(s, old) != 1 {
		panic("onepage: index.html should have exactly one " + old)
	}
	return strings.Replace(s, old, replacement, 1)
}

// HashOf is how the policy names a script or a style.
func HashOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
