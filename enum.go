package kanava

import (
	"fmt"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Enumeration is what [Enum] returns, so that a package can declare it with
// var.
type Enumeration struct{}

// Enum declares that values are all that T may be: a client that sends another
// is told which there are. Go does not tell the constants of a type while a
// program runs, so they are listed once, beside the type:
//
//	type Role string
//
//	const (
//		RoleAdmin Role = "admin"
//		RoleGuest Role = "guest"
//	)
//
//	var _ = kanava.Enum(RoleAdmin, RoleGuest)
//
// It holds wherever T stands in an input or in opening data, also as an element
// or a key, and is in the schema under the name of T. If T has MarshalText and
// UnmarshalText, the values are the strings that those make of them.
//
// What is sent or kept in a store is not checked. The declaration is for the
// whole process. Enum panics if it is wrong or if T is declared already.
func Enum[T ~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64](values ...T) Enumeration {
	at := callerPlace(0)
	if err := typemodel.RegisterEnum(at.String(), values); err != nil {
		panic(fmt.Sprintf("kanava: Enum at %s: %v", at, err))
	}
	return Enumeration{}
}
