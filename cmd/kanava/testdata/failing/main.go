// Failing ends with an error, unless it is told not to.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "-work" {
		log.Fatal("no configuration")
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	log.Fatal(http.ListenAndServe("localhost:0", ws.Handler(srv, ws.Options{}))) //nolint:gosec // never comes so far
}
