package typemodel

import (
	"fmt"
	"reflect"
	"regexp"
)

// pathError is an error at a place inside a type. The path grows from the
// inside out; "." stands before fields only.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

// fieldError makes an error at a field of the type being looked at.
func fieldError(name, format string, args ...any) error {
	return &pathError{"." + name, fmt.Errorf(format, args...)}
}

// within puts step before the path of err.
func within(step string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*pathError); ok { //nolint:errorlint // a path inside other text is not continued
		return &pathError{step + e.path, e.err}
	}
	return &pathError{step, err}
}

var importPath = regexp.MustCompile(`[\w./~-]*/`)

// typeName returns the name of a type as its own package would write it, with
// the packages of others by their last element.
func typeName(t reflect.Type) string {
	return importPath.ReplaceAllString(t.String(), "")
}

// rootName is typeName without the package of t itself, to begin a path.
func rootName(t reflect.Type) string {
	if t.Name() == "" {
		return typeName(t)
	}
	return importPath.ReplaceAllString(t.Name(), "")
}
