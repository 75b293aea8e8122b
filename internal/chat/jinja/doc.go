// Package jinja renders Jinja templates as Jinja 3.1 does when transformers
// configures it for chat templates: an immutable sandbox, trim_blocks,
// lstrip_blocks, the loop-controls extension, {% generation %} blocks,
// raise_exception, strftime_now and a tojson that neither escapes HTML nor
// writes ASCII only. Values behave as Python's do: the int 1 is not the float
// 1.0 when printed, strings are sequences of code points, "and" returns an operand.
//
// [Parse] reads a template once; [Template.Render] runs it, from any number of
// goroutines. A template reads nothing but its variables and [Options], and is
// stopped by [Limits]: templates come from strangers.
//
// Refused by name, because no chat template can use them: include, import,
// extends and block (there is no second file), autoescape, and the filters that
// write HTML or chance (urlize, xmlattr, wordwrap, pprint, random).
package jinja
