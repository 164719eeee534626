package kanava

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// making is the making of a value that wirings declare: what the constructors
// check alike, and what their panics say.
type making struct {
	what, name string
	where      place
}

func (m making) wrong(format string, args ...any) {
	panic(fmt.Sprintf("kanava: %s %q at %s: ", m.what, m.name, m.where) + fmt.Sprintf(format, args...))
}

// named demands the name of something that belongs to no hub.
func (m making) named() {
	if m.name == "" || len(m.name) > 256 {
		m.wrong("a name has 1 to 256 bytes")
	}
}

// on demands a hub, and a name that can stand before the key of a topic.
func (m making) on(h *EventHub) {
	if h == nil {
		m.wrong("the hub is nil")
	}
	if m.name == "" || strings.Contains(m.name, ":") || checkTopic(m.name) != nil {
		m.wrong("a name has no colon and no control characters and is not empty")
	}
}

// model is that of T in one use; part says what T is, if there are several.
func modelOf[T any](m making, part string, use typemodel.Use) *typemodel.Model {
	model, err := typemodel.Of(reflect.TypeFor[T](), use)
	if err != nil {
		m.wrong("%s%v", part, err)
	}
	return model
}
