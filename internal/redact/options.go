package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// version is part of every ID; it changes with anything that changes what a
// Redactor finds or writes.
const version = 1

// The built-in kinds.
const (
	Email          = "email"
	Phone          = "phone"
	Card           = "card"        // payment cards
	IBAN           = "iban"        // bank accounts
	NationalID     = "national_id" // identity, tax and social security numbers of persons
	IP             = "ip"
	MAC            = "mac"
	Key            = "key"             // API keys, tokens, private keys, passwords
	URLCredentials = "url_credentials" // the user:password of a URL
)

// literal is the kind of texts that look like placeholders from the start.
const literal = "literal"

// Kinds returns the names of the built-in kinds.
func Kinds() []string {
	return []string{Email, Phone, Card, IBAN, NationalID, IP, MAC, Key, URLCredentials}
}

// Options says what is redacted. The zero value redacts all built-in kinds.
type Options struct {
	// Kinds are the built-in kinds to look for; empty means all.
	Kinds []string `yaml:"kinds,omitempty"`
	// Patterns maps a kind of its own to a regular expression (RE2 syntax). Its
	// first group is what is redacted, or all of it where there is no group.
	Patterns map[string]string `yaml:"patterns,omitempty"`
	// Words maps a kind of its own to words and phrases. They are found as whole
	// words, whatever their case (simple Unicode folding: ß is not ss), with any
	// white space where a phrase has some.
	Words map[string][]string `yaml:"words,omitempty"`
}

// kindName is what may name a kind: in capitals it becomes part of placeholders.
var kindName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

const maxKindBytes = 32

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o Options) Validate() error {
	var list []error
	fault := func(format string, args ...any) { list = append(list, fmt.Errorf(format, args...)) }
	for _, kind := range o.Kinds {
		if !slices.Contains(Kinds(), kind) {
			fault("kinds: %q: want some of %s", kind, strings.Join(Kinds(), ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Patterns)) {
		checkName(fault, "patterns", name)
		re, err := regexp.Compile(o.Patterns[name])
		switch {
		case err != nil:
			fault("patterns.%s: %w", name, err)
		case re.NumSubexp() == 0 && re.MatchString(""):
			fault("patterns.%s: %s: it matches nothing at all", name, o.Patterns[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Words)) {
		checkName(fault, "words", name)
		if _, twice := o.Patterns[name]; twice {
			fault("words.%s: patterns has this name too", name)
		}
		o.checkWords(fault, name)
	}
	return errors.Join(list...)
}

func checkName(fault func(string, ...any), field, name string) {
	switch {
	case !kindName.MatchString(name) || len(name) > maxKindBytes:
		fault("%s: %q cannot name a kind: want up to %d of a-z, 0-9 and single _ between them, a letter first", field, name, maxKindBytes)
	case name == literal || slices.Contains(Kinds(), name):
		fault("%s.%s: the name is taken by a built-in kind", field, name)
	}
}

func (o Options) checkWords(fault func(string, ...any), name string) {
	if len(o.Words[name]) == 0 {
		fault("words.%s: want words", name)
	}
	for i, word := range o.Words[name] {
		switch {
		case !utf8.ValidString(word):
			fault("words.%s: entry %d: %q is not UTF-8", name, i+1, word)
		case !hasWordRune(word):
			fault("words.%s: entry %d: %q has neither letter nor digit", name, i+1, word)
		case len(word) > maxWordBytes:
			fault("words.%s: entry %d: it has %d bytes, more than %d", name, i+1, len(word), maxWordBytes)
		}
	}
}

// kinds returns the built-in kinds that are wanted, in the order of Kinds.
func (o Options) kinds() []string {
	if len(o.Kinds) == 0 {
		return Kinds()
	}
	return slices.DeleteFunc(Kinds(), func(k string) bool { return !slices.Contains(o.Kinds, k) })
}

// id is the hash of all that changes what a Redactor of the options does.
func (o Options) id() string {
	words := map[string][]string{}
	for name, list := range o.Words {
		words[name] = slices.Compact(slices.Sorted(slices.Values(list)))
	}
	text, err := json.Marshal([]any{"redact", version, o.kinds(), o.Patterns, words})
	if err != nil {
		panic(err) // strings and lists of them always have a JSON form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
