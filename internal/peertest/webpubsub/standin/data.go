package standin

import (
	"encoding/base64"
	"mime"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// mostData is the service's limit for a message, of a client or of the REST API.
const mostData = 1 << 20

// data is a message: its type is text, json or binary, as clients of
// json.webpubsub.azure.v1 name them.
type data struct {
	kind  string
	bytes []byte
}

var contentTypes = map[string]string{"text": "text/plain", "json": "application/json", "binary": "application/octet-stream"}

// kindOf finds the type that a Content-Type means; none is binary.
func kindOf(contentType string) (string, bool) {
	if contentType == "" {
		return "binary", true
	}
	media, _, err := mime.ParseMediaType(contentType)
	for kind, t := range contentTypes {
		if err == nil && strings.EqualFold(media, t) {
			return kind, true
		}
	}
	return "", false
}

// value is the member "data" of an object for a client.
func (d data) value() jsontext.Value {
	var v any
	switch d.kind {
	case "json":
		return jsontext.Value(d.bytes)
	case "text":
		v = string(d.bytes)
	default:
		v = base64.StdEncoding.EncodeToString(d.bytes)
	}
	return encode(v)
}

// dataOf is the opposite of value.
func dataOf(kind string, v jsontext.Value) (data, bool) {
	if kind == "" {
		kind = "json"
	}
	var text string
	switch kind {
	case "json":
		return data{kind, v}, v.Kind() != 'n' && len(v) > 0
	case "text":
		err := json.Unmarshal(v, &text)
		return data{kind, []byte(text)}, err == nil
	case "binary":
		if json.Unmarshal(v, &text) != nil {
			return data{}, false
		}
		b, err := base64.StdEncoding.DecodeString(text)
		return data{kind, b}, err == nil
	}
	return data{}, false
}

// encode makes JSON of what cannot fail: objects of strings, numbers and values.
func encode(v any) jsontext.Value {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err)
	}
	return b
}
