package typemodel

import "github.com/go-json-experiment/json/jsontext"

// appendJSON appends the JSON of a scalar that is given as plain text, in a
// request or a tag, or says what is wrong.
func (n *node) appendJSON(raw []byte, text string) ([]byte, string) {
	switch {
	case n.shape == shapeBool:
		switch text {
		case "true", "1":
			return append(raw, "true"...), ""
		case "false", "0":
			return append(raw, "false"...), ""
		}
		return nil, "must be true or false"
	case n.kind() == Number:
		if !isJSONNumber([]byte(text)) {
			return nil, "must be " + n.noun
		}
		return append(raw, text...), ""
	}
	raw, err := jsontext.AppendQuote(raw, text)
	if err != nil {
		return nil, "is not valid UTF-8"
	}
	return raw, ""
}
