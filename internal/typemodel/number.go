package typemodel

import (
	stdjson "encoding/json"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The JSON library takes encoding/json.Number for a string, or for a number,
// depending on how it was built. For us it is always a number.
var (
	numberMarshaler = json.MarshalToFunc(func(enc *jsontext.Encoder, n stdjson.Number) error {
		if n == "" {
			n = "0" // as encoding/json has it
		}
		if !isJSONNumber([]byte(n)) {
			return errors.New("a json.Number does not hold a number")
		}
		return enc.WriteValue(jsontext.Value(n))
	})
	numberUnmarshaler = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, n *stdjson.Number) error {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if raw.Kind() != '0' {
			return errors.New("not a number")
		}
		*n = stdjson.Number(raw)
		return nil
	})
)
