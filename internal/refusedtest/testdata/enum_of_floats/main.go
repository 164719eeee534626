// An enum is declared of a type that no enum can have.
// want: Ratio does not satisfy ~string | ~int | ~int8
package main

import "github.com/kanava-go/kanava"

type Ratio float64

var _ = kanava.Enum(Ratio(0.5), Ratio(1))

func main() {}
