// Package ts has the text of the TypeScript run-time, which generated clients
// contain: a client is one file.
package ts

import (
	"embed"
	"regexp"
	"slices"
	"strings"
)

//go:embed src/*.ts
var typed embed.FS

//go:embed dist/*.js
var plain embed.FS

// always are the files of every client, in an order in which they can be read.
var always = []string{
	"options", "state", "error", "core", "address", "bytes", "timers", "listeners", "topic", "topics", "calls", "stream", "asked",
	"signin", "heartbeat", "link", "websocket", "eventstream", "upstream", "sse", "transports", "reconnect", "connection", "channel",
}

// Part is a piece of the run-time that only some clients need.
type Part string

// The parts.
const (
	Dates       Part = "dates"       // times are Date objects
	Wildcards   Part = "wildcards"   // the route has some
	Subscribing Part = "subscribing" // clients may subscribe themselves
	Presence    Part = "presence"    // a channel has one
)

// Parts are all of them.
var Parts = []Part{Dates, Wildcards, Subscribing, Presence}

// Typed returns the run-time in TypeScript, with these parts.
func Typed(with ...Part) string { return join(typed, "src", ".ts", with) }

// Plain returns the same as JavaScript, made from it by build.mjs.
func Plain(with ...Part) string { return join(plain, "dist", ".js", with) }

// declaration begins one that other files do not see.
var declaration = regexp.MustCompile(`(?m)^(?:(?:async )?function\*?|const|type) ([\pL\pN_$]+)`)

var word = regexp.MustCompile(`[\pL\pN_$]+`)

// Used returns a client without the functions that nothing in it mentions:
// compilers can be told to refuse those.
func Used(client string) string {
	pieces := paragraphs(client)
	mentions := map[string]int{}
	count := func(text string, n int) {
		for _, name := range word.FindAllString(text, -1) {
			mentions[name] += n
		}
	}
	count(client, 1)
	unused := func(text string) bool {
		all := declaration.FindAllStringSubmatch(text, -1)
		if len(all) != 1 || strings.Contains(text, "\nexport ") || strings.HasPrefix(text, "export ") || mentions[all[0][1]] > 1 {
			return false
		}
		count(text, -1)
		return true
	}
	for n := -1; n != len(pieces); { // what only an unused one has mentioned is unused, too
		n = len(pieces)
		pieces = slices.DeleteFunc(pieces, unused)
	}
	return strings.Join(pieces, "\n\n") + "\n"
}

// paragraphs are the parts of a file between empty lines that are not inside of
// anything.
func paragraphs(file string) []string {
	var list []string
	for text := range strings.SplitSeq(strings.TrimSpace(file), "\n\n") {
		if len(list) > 0 && strings.TrimLeft(text, " })") != text {
			list[len(list)-1] += "\n\n" + text
		} else {
			list = append(list, text)
		}
	}
	return list
}

var (
	imports = regexp.MustCompile(`(?ms)^import .*?;\n|^export \{\};\n`)
	// Functions of the run-time are for the generated code alone.
	functions = regexp.MustCompile(`(?m)^export ((?:async )?function\*?|const|let) `)
)

// join makes one text of what every client has and the parts.
func join(fs embed.FS, dir, suffix string, with []Part) string {
	names := slices.Clone(always)
	for _, part := range with {
		names = append(names, string(part))
	}
	var texts []string
	for _, name := range names {
		raw, err := fs.ReadFile(dir + "/" + name + suffix)
		if err != nil {
			panic(err) // the files are in the program
		}
		text := imports.ReplaceAllString(string(raw), "")
		if text = strings.TrimSpace(functions.ReplaceAllString(text, "$1 ")); text != "" { // types leave nothing in JavaScript
			texts = append(texts, text+"\n")
		}
	}
	return strings.Join(texts, "\n")
}
