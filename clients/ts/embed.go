// Package ts has the text of the TypeScript run-time, which generated clients
// contain: a client is one file.
package ts

import (
	"embed"
	"regexp"
	"strings"
)

//go:embed src/*.ts
var typed embed.FS

//go:embed dist/*.js
var plain embed.FS

// parts are the files of the run-time, in the order in which they need each
// other.
var parts = []string{"error", "topic", "connection", "channel"}

// Typed returns the run-time in TypeScript.
func Typed() string { return join(typed, "src", ".ts", parts...) }

// Plain returns the same as JavaScript, made from it by build.mjs.
func Plain() string { return join(plain, "dist", ".js", parts...) }

// TypedDates and PlainDates return what clients need besides if times are Date
// objects.
func TypedDates() string { return join(typed, "src", ".ts", "dates") }

// PlainDates is TypedDates as JavaScript.
func PlainDates() string { return join(plain, "dist", ".js", "dates") }

var (
	imports = regexp.MustCompile(`(?ms)^import .*?;\n`)
	// Functions of the run-time are for the generated code alone.
	functions = regexp.MustCompile(`(?m)^export ((?:async )?function\*?|const|let) `)
)

// join makes one text of the parts.
func join(fs embed.FS, dir, suffix string, parts ...string) string {
	var texts []string
	for _, name := range parts {
		raw, err := fs.ReadFile(dir + "/" + name + suffix)
		if err != nil {
			panic(err) // the files are in the program
		}
		text := imports.ReplaceAllString(string(raw), "")
		texts = append(texts, strings.TrimSpace(functions.ReplaceAllString(text, "$1 "))+"\n")
	}
	return strings.Join(texts, "\n")
}
