package kanava

import (
	"fmt"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Union is what [OneOf] returns, so that a package can declare it with var.
type Union struct{}

// OneOf declares that the interface T is one of variants, told apart by the
// member property. A variant is a struct, or a pointer to one, that implements
// T; its key is the value of the member, which Kanava adds when it encodes and
// demands when it decodes, wherever the variant stands:
//
//	type StatusUpdate interface{ status() }
//
//	var _ = kanava.OneOf("type", map[string]StatusUpdate{
//		"processing": Processing{}, // {"type":"processing","step":"…"}
//		"complete":   Complete{},
//	})
//
// It is for the whole process and belongs beside the types. It panics if the
// declaration is wrong or T is declared already.
func OneOf[T any](property string, variants map[string]T) Union {
	at := callerPlace(0)
	if err := typemodel.RegisterUnion(at.String(), property, variants); err != nil {
		panic(fmt.Sprintf("kanava: OneOf at %s: %v", at, err))
	}
	return Union{}
}
