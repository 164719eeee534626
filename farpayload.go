package kanava

import (
	"context"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// farPayload is the payload of an event that an engine has delivered: decoded
// once, when a View, middleware or a listener wants it.
type farPayload struct {
	family *family // nil for a topic that no Topic has made
	once   sync.Once
	value  any // set in once
}

// payload returns what was published, or what its JSON says: jsontext.Value
// where that is not of the topic's type, as of one that was published raw.
func (ev *event) payload() any {
	p := ev.far
	if p == nil {
		return ev.own
	}
	p.once.Do(func() {
		switch {
		case ev.binary:
			p.value = ev.data
			return
		case p.family != nil && p.family.decode != nil:
			if v, err := p.family.decode(ev.data); err == nil {
				p.value = v
				return
			}
		}
		p.value = jsontext.Value(ev.data)
	})
	return p.value
}

// decoderOf returns what decodes the JSON of events of type T.
func decoderOf[T any]() func(data []byte) (any, error) {
	return func(data []byte) (any, error) {
		var v T
		m, err := typemodel.Of(reflect.TypeFor[T](), typemodel.Stored)
		if err == nil {
			err = decodeStored(context.Background(), m, data, &v)
		}
		return v, err
	}
}
