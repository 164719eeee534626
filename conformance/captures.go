package conformance

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Blank stands in an expectLike for any value; as the name of a member it
// stands for any members more.
const Blank = "$*"

// Captures are the values of the blanks with a name that were filled in one
// case. A string that begins with a dollar sign is such a name: it stands for
// any value where it comes first, and for the same one from then on, whichever
// client is told.
type Captures map[string]any

// Match returns what is different between a text and the pattern, "" if the
// text is like it.
func (c Captures) Match(pattern, text jsontext.Value) string {
	var want, got any
	if err := json.Unmarshal(pattern, &want); err != nil {
		return "the pattern: " + err.Error()
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return "it is no JSON: " + err.Error()
	}
	return c.match("", want, got)
}

// Fill returns the pattern with the values of its blanks. All of them have to be
// known.
func (c Captures) Fill(pattern jsontext.Value) (jsontext.Value, error) {
	var v any
	if err := json.Unmarshal(pattern, &v); err != nil {
		return nil, err
	}
	v, err := c.filled(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v, json.Deterministic(true))
}

func (c Captures) filled(v any) (_ any, err error) {
	switch x := v.(type) {
	case string:
		if name, blank := strings.CutPrefix(x, "$"); blank {
			known, ok := c[name]
			if !ok {
				return nil, fmt.Errorf("$%s is not known yet", name)
			}
			return known, nil
		}
	case map[string]any:
		for name := range x {
			if x[name], err = c.filled(x[name]); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range x {
			if x[i], err = c.filled(x[i]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func (c Captures) match(at string, want, got any) string {
	switch want := want.(type) {
	case string:
		if name, blank := strings.CutPrefix(want, "$"); blank {
			return c.fill(at, name, got)
		}
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			return c.matchObject(at, want, got)
		}
	case []any:
		if got, ok := got.([]any); ok && len(got) == len(want) {
			for i := range want {
				if problem := c.match(fmt.Sprintf("%s/%d", at, i), want[i], got[i]); problem != "" {
					return problem
				}
			}
			return ""
		}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("want %v at %q", want, at)
	}
	return ""
}

func (c Captures) fill(at, name string, got any) string {
	if name == Blank[1:] {
		return ""
	}
	if known, ok := c[name]; ok && !reflect.DeepEqual(known, got) {
		return fmt.Sprintf("want $%s, which is %v, at %q", name, known, at)
	}
	c[name] = got
	return ""
}

func (c Captures) matchObject(at string, want, got map[string]any) string {
	_, more := want[Blank]
	for name, v := range want {
		if name == Blank {
			continue
		}
		value, ok := got[name]
		if !ok {
			return fmt.Sprintf("there is no %s/%s", at, name)
		}
		if problem := c.match(at+"/"+name, v, value); problem != "" {
			return problem
		}
	}
	for name := range got {
		if _, known := want[name]; !known && !more {
			return fmt.Sprintf("there is %s/%s", at, name)
		}
	}
	return ""
}
