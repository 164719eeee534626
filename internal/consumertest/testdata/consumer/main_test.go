package main

import (
	"testing"

	"github.com/kanava-go/kanava/kanavatest"
)

func TestGreet(t *testing.T) {
	client := kanavatest.Dial(t, newServer(), "/hello")
	client.Send(name{"Ada"})
	client.Expect(`{"message":"Hello, Ada!"}`)
}
