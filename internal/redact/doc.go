// Package redact takes personal data and secrets out of texts before they
// leave the machine, and puts them back into what comes home.
//
// A Redactor finds values of several kinds: those built in, which are
// recognised by form and checksum, regular expressions and word lists. A Scope
// belongs to one request: in all its texts a value becomes the same
// placeholder, such as [EMAIL_1], and Restore turns placeholders back. A Vault
// keeps what placeholders stand for on disk, and a line for an audit beside it.
//
// Findings that overlap become one, which covers them all, so that nothing
// that was found stays; it has the kind of the longest, and among equals of
// the first in the order literal, words, patterns, kinds as listed.
//
// A text that holds something like a placeholder from the start is made
// unambiguous: that something is itself replaced, by [LITERAL_1], and restored
// like a value. So Restore(Redact(text)) is text, byte by byte.
//
// Texts are read as if digits of other scripts, full-width letters, and
// unusual spaces and dashes were their ASCII counterparts, and as if
// invisible characters were not there. Offsets and values are those of the text
// as it is. Patterns alone see the text as it is. Time is linear in the text.
package redact
