// Nohandler never makes a handler.
package main

import "fmt"

func main() { fmt.Println("nothing to serve") }
