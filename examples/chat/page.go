package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/kanava-go/kanava/examples/internal/onepage"
)

//go:embed page
var pageFiles embed.FS

// page serves the chat page: one document that loads nothing else.
func page() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	return onepage.Handler(files, modules...)
}

// The page's modules, each after those that it imports. The first is generated.
var modules = []string{
	"kanava.js", "dom.js", "render.js", "forms.js", "counters.js", "session.js",
	"rooms.js", "people.js", "connection.js", "messages.js", "jobs.js", "chat.js",
}
