package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is a set of characters.
type class struct {
	ascii [2]uint64 // members below U+0080
	rest  func(rune) bool
}

func newClass(in func(rune) bool) *class {
	c := &class{rest: in}
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if in(r) {
			c.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return c
}

func (c *class) has(r rune) bool {
	if r < utf8.RuneSelf {
		return c.ascii[r>>6]>>(r&63)&1 != 0
	}
	return c.rest(r)
}

func not(in func(rune) bool) func(rune) bool { return func(r rune) bool { return !in(r) } }

// folded adds the characters that differ from a member in case only.
func folded(in func(rune) bool) func(rune) bool {
	return func(r rune) bool {
		if in(r) {
			return true
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if in(f) {
				return true
			}
		}
		return false
	}
}

func inTable(t *unicode.RangeTable) func(rune) bool {
	return func(r rune) bool { return unicode.Is(t, r) }
}

// isWordRune is \w of Oniguruma.
func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc)
}

func isHexDigit(r rune) bool {
	return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'f' && r < utf8.RuneSelf
}

// escapedClass is the class of the escape \c, nil for none.
func escapedClass(c rune) func(rune) bool {
	switch c {
	case 's':
		return unicode.IsSpace
	case 'd':
		return unicode.IsDigit
	case 'w':
		return isWordRune
	case 'h':
		return isHexDigit
	case 'S', 'D', 'W', 'H':
		return not(escapedClass(c | 0x20))
	}
	return nil
}

// posixClasses are the names of \p{…} and [[:…:]] that are no properties of
// Unicode.
var posixClasses = map[string]func(rune) bool{
	"alnum":  func(r rune) bool { return unicode.IsLetter(r) || unicode.In(r, unicode.M, unicode.Nd) },
	"alpha":  func(r rune) bool { return unicode.IsLetter(r) || unicode.Is(unicode.M, r) },
	"ascii":  func(r rune) bool { return r < utf8.RuneSelf },
	"blank":  func(r rune) bool { return r == '\t' || unicode.Is(unicode.Zs, r) },
	"cntrl":  unicode.IsControl,
	"digit":  unicode.IsDigit,
	"lower":  unicode.IsLower,
	"punct":  isPunctuation,
	"space":  unicode.IsSpace,
	"upper":  unicode.IsUpper,
	"xdigit": isHexDigit,
	"word":   isWordRune,
	"any":    func(rune) bool { return true },
}

// longCategories are the names of general categories that are spelt out.
var longCategories = map[string]string{
	"letter": "L", "mark": "M", "number": "N", "punctuation": "P", "symbol": "S", "separator": "Z", "other": "C",
	"uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm", "otherletter": "Lo",
	"nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me",
	"decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No", "spaceseparator": "Zs", "control": "Cc", "format": "Cf",
}

// property is the class \p{name}: a general category, a script, a property of
// Unicode or a POSIX class. Case, spaces, hyphens and underscores do not matter.
func property(name string) (func(rune) bool, error) {
	simple := simpleName(name)
	if strings.HasPrefix(simple, "^") {
		in, err := property(simple[1:])
		return not(in), err
	}
	if in, ok := posixClasses[simple]; ok {
		return in, nil
	}
	if long, ok := longCategories[simple]; ok {
		simple = simpleName(long)
	}
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		for known, table := range tables {
			if simpleName(known) == simple {
				return inTable(table), nil
			}
		}
	}
	return func(rune) bool { return false }, fmt.Errorf("the property %q is not supported", name)
}

func simpleName(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '-' {
			return -1
		}
		return r
	}, s))
}

// class parses what follows a [ up to its ].
func (p *regexParser) class() (func(rune) bool, error) {
	if p.depth++; p.depth > maxRegexDepth {
		return nil, errTooDeep
	}
	defer func() { p.depth-- }()
	negated := p.take("^")
	var all, union []func(rune) bool // all: what && joins
	for first := true; ; first = false {
		switch {
		case p.rest == "":
			return nil, errors.New("a class is not closed")
		case p.rest[0] == ']' && !first:
			p.rest = p.rest[1:]
			in := intersection(append(all, anyOf(union)))
			if p.fold {
				in = folded(in)
			}
			if negated {
				in = not(in)
			}
			return in, nil
		case p.take("&&"):
			all, union = append(all, anyOf(union)), nil
			continue
		}
		in, err := p.classItem()
		if err != nil {
			return nil, err
		}
		union = append(union, in)
	}
}

// classItem parses a class, a range or a character within a class.
func (p *regexParser) classItem() (func(rune) bool, error) {
	if strings.HasPrefix(p.rest, "[:") {
		if end := strings.Index(p.rest, ":]"); end > 0 {
			name := p.rest[2:end]
			p.rest = p.rest[end+2:]
			return property(name)
		}
	}
	if p.take("[") {
		return p.class()
	}
	lo, in, err := p.classRune()
	if err != nil || in != nil {
		return in, err
	}
	if !strings.HasPrefix(p.rest, "-") || strings.HasPrefix(p.rest, "-]") {
		return func(r rune) bool { return r == lo }, nil
	}
	saved := p.rest
	p.rest = p.rest[1:]
	if strings.HasPrefix(p.rest, "[") { // a hyphen before a class
		p.rest = saved
		return func(r rune) bool { return r == lo }, nil
	}
	hi, in, err := p.classRune()
	switch {
	case err != nil:
		return nil, err
	case in != nil: // as in [a-\d]: the hyphen is one
		return func(r rune) bool { return r == lo || r == '-' || in(r) }, nil
	case hi < lo:
		return nil, fmt.Errorf("the range %q-%q is empty", lo, hi)
	}
	return func(r rune) bool { return r >= lo && r <= hi }, nil
}

// classRune parses one character, or the class that an escape stands for.
func (p *regexParser) classRune() (rune, func(rune) bool, error) {
	if p.rest == "" {
		return 0, nil, errors.New("a class is not closed")
	}
	if p.rest[0] != '\\' {
		r, n := utf8.DecodeRuneInString(p.rest)
		p.rest = p.rest[n:]
		return r, nil, nil
	}
	if strings.HasPrefix(p.rest, `\b`) {
		p.rest = p.rest[2:]
		return '\b', nil, nil
	}
	return p.escape()
}

func anyOf(list []func(rune) bool) func(rune) bool {
	if len(list) == 1 {
		return list[0]
	}
	return func(r rune) bool {
		for _, in := range list {
			if in(r) {
				return true
			}
		}
		return false
	}
}

func intersection(list []func(rune) bool) func(rune) bool {
	if len(list) == 1 {
		return list[0]
	}
	return func(r rune) bool {
		for _, in := range list {
			if !in(r) {
				return false
			}
		}
		return true
	}
}
