package main

import (
	"os"
	"strings"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestGreetsWhoeverSaysAName(t *testing.T) {
	t.Parallel()
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(hello)
	client := kanavatest.Dial(t, srv, "/hello")
	client.Send(Name{"Ada"})
	client.Expect(`{"message":"Hello, Ada!"}`)
	client.Send(Name{""})
	if frame := client.Next(); !strings.Contains(frame, `"pointer":"/name"`) {
		t.Errorf("no name was answered with %s, want an error at /name", frame)
	}
}

// The README says that it shows all of this program.
func TestREADMEShowsThisProgram(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(program)+"```\n") {
		t.Error("README.md and main.go differ: copy all of main.go into the README's first Go block")
	}
	if n := strings.Count(string(program), "\n"); n >= 40 {
		t.Errorf("the smallest program has %d lines, want less than 40", n)
	}
}
