package main

import (
	"context"
	"embed"
	"io/fs"
	"net/http"

	"github.com/kanava-go/kanava/examples/internal/onepage"
)

//go:embed page
var pageFiles embed.FS

// page serves the page: one document that loads nothing else.
func page() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	return onepage.Handler(files, "kanava.js", "dom.js", "visitors.js", "nodes.js", "cluster.js")
}

// nodeKey is the key of the node to which a request goes.
type nodeKey struct{}

func withNode(ctx context.Context, n *node) context.Context {
	return context.WithValue(ctx, nodeKey{}, n)
}
