package main

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// page serves the chat page: one document that loads nothing else. Its policy
// lets the browser run exactly the script and the style that are in it.
func page() http.Handler {
	document, policy := assemble()
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

// The page's modules, each after those that it imports. The first is generated.
var modules = []string{
	"kanava.js", "dom.js", "render.js", "forms.js", "counters.js", "session.js",
	"rooms.js", "connection.js", "messages.js", "jobs.js", "chat.js",
}

// assemble puts the style and the scripts into index.html and returns the
// document with the Content-Security-Policy that fits it. The scripts become
// one module, so what they import from and export to each other falls away.
func assemble() (document []byte, policy string) {
	style := pageFile("style.css")
	var scripts strings.Builder
	for _, name := range modules {
		scripts.WriteString(between.ReplaceAllString(pageFile(name), ""))
	}
	script := scripts.String()

	html := pageFile("index.html")
	html = replaceOne(html, `<link rel="stylesheet" href="style.css">`, "<style>"+style+"</style>")
	html = replaceOne(html, `<script type="module" src="chat.js"></script>`, `<script type="module">`+script+"</script>")

	return []byte(html), strings.Join([]string{
		"default-src 'none'",
		"script-src " + hashOf(script),
		"style-src " + hashOf(style),
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

func pageFile(name string) string {
	content, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic("chat: " + err.Error())
	}
	// The browser takes the hash after it has made every line end in LF.
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}

// replaceOne panics unless old occurs once: a page without its script or its
// style should not start.
func replaceOne(s, old, replacement string) string {
	if strings.Count(s, old) != 1 {
		panic("chat: the page's files should have exactly one " + old)
	}
	return strings.Replace(s, old, replacement, 1)
}

func hashOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
