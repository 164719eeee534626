// Slow does not come to the point.
package main

import (
	"fmt"
	"time"
)

func main() {
	fmt.Println("waiting for the database")
	time.Sleep(time.Hour)
}
