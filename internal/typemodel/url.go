package typemodel

import (
	"errors"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The JSON library takes a url.URL for a struct with the parts of a URL. For us
// it is the string: a URI or, without a scheme, a reference relative to one
// (RFC 3986, URI-reference).
var (
	urlMarshaler = json.MarshalToFunc(func(enc *jsontext.Encoder, u *url.URL) error {
		return enc.WriteToken(jsontext.String(u.String()))
	})
	urlUnmarshaler = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, u *url.URL) error {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if tok.Kind() != '"' {
			return errors.New("not a string")
		}
		parsed, err := url.Parse(tok.String())
		if err == nil {
			*u = *parsed
		}
		return err
	})
)

// isURLText reports whether text is a URI reference that package url takes.
func isURLText(text string) bool {
	_, err := url.Parse(text)
	return err == nil && isURIReference(text)
}
