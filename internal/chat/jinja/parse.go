package jinja

import (
	"slices"
	"strings"
)

// maxNesting bounds how deep tags and brackets stand in one another.
const maxNesting = 150

type parser struct {
	toks  []token
	pos   int
	depth int
	soft  int             // inside an if: unknown filters and tests are errors only where reached
	loops int             // for loops around, within the same macro
	names map[string]bool // names read by the macro being parsed; nil outside
}

func (p *parser) cur() token  { return p.toks[p.pos] }
func (p *parser) look() token { return p.toks[min(p.pos+1, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) isOp(op string) bool    { t := p.cur(); return t.kind == tokOp && t.text == op }
func (p *parser) isName(n string) bool   { t := p.cur(); return t.kind == tokName && t.text == n }
func (p *parser) skipOp(op string) bool  { return p.isOp(op) && p.next().kind == tokOp }
func (p *parser) skipName(n string) bool { return p.isName(n) && p.next().kind == tokName }

func (p *parser) fail(format string, args ...any) error {
	return at(raise("TemplateSyntaxError", format, args...), p.cur().line)
}

func (p *parser) unexpected(want string) error {
	t := p.cur()
	if t.kind == tokEOF {
		return p.fail("unexpected end of template, expected %s", want)
	}
	return p.fail("expected %s, got %q", want, clip(t.text))
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

func (p *parser) expectOp(op string) error {
	if !p.skipOp(op) {
		return p.unexpected("'" + op + "'")
	}
	return nil
}

func (p *parser) expectName() (string, error) {
	if p.cur().kind != tokName {
		return "", p.unexpected("a name")
	}
	return p.next().text, nil
}

func (p *parser) endBlock() error {
	if p.cur().kind != tokBlockEnd {
		return p.unexpected("'%}'")
	}
	p.next()
	return nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxNesting {
		return at(limit("nested deeper than %d", maxNesting), p.cur().line)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// body reads statements up to a tag named by one of ends, whose name is left to
// be read; with no ends, to the end of the template.
func (p *parser) body(ends ...string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var out []stmt
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if len(ends) > 0 {
				return nil, p.fail("unexpected end of template, expected {%% %s %%}", strings.Join(ends, " or "))
			}
			return out, nil
		case tokData:
			out = addOutput(out, t.line, outputPart{data: t.text})
		case tokVarBegin:
			x, err := p.tuple(true, "")
			if err != nil {
				return nil, err
			}
			if p.cur().kind != tokVarEnd {
				return nil, p.unexpected("'}}'")
			}
			p.next()
			out = addOutput(out, t.line, outputPart{x: x})
		case tokBlockBegin:
			if c := p.cur(); c.kind == tokName && slices.Contains(ends, c.text) {
				return out, nil
			}
			st, err := p.statement()
			if err != nil {
				return nil, err
			}
			out = append(out, st)
		}
	}
}

// addOutput joins what is printed on one line into one statement.
func addOutput(out []stmt, l int, part outputPart) []stmt {
	if n := len(out); n > 0 {
		if o, ok := out[n-1].(*output); ok && int(o.line) == l {
			o.parts = append(o.parts, part)
			return out
		}
	}
	return append(out, &output{line(l), []outputPart{part}})
}

var refused = []string{"include", "import", "from", "extends", "block", "autoescape"}

func (p *parser) statement() (stmt, error) {
	t := p.cur()
	tag, err := p.expectName()
	if err != nil {
		return nil, err
	}
	l := line(t.line)
	switch tag {
	case "if":
		return p.ifTag(l)
	case "for":
		return p.forTag(l)
	case "set":
		return p.setTag(l)
	case "with":
		return p.withTag(l)
	case "macro":
		return p.macroTag(l)
	case "call":
		return p.callTag(l)
	case "filter":
		return p.filterTag(l)
	case "generation":
		return p.generationTag(l)
	case "break", "continue":
		return p.leaveTag(l, tag)
	}
	if slices.Contains(refused, tag) {
		return nil, at(raise("TemplateSyntaxError", "the tag %q is not supported: a chat template is one file", tag), t.line)
	}
	return nil, at(raise("TemplateSyntaxError", "Encountered unknown tag %q.", clip(tag)), t.line)
}
