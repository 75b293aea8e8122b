package jinja

import (
	"errors"
	"fmt"
)

// Error is a fault of a template or of what it was given.
type Error struct {
	Line int    // of the template, counted from 1; 0 if unknown
	Kind string // Python's class: TypeError, UndefinedError, TemplateSyntaxError; LimitError is ours
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Kind + ": " + e.Msg
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Kind, e.Msg)
}

func raise(kind, format string, args ...any) error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// at gives an error its line, unless an inner statement did.
func at(err error, line int) error {
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		e.Line = line
	}
	return err
}

func limit(format string, args ...any) error { return raise("LimitError", format, args...) }
