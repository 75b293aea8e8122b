package jinja_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// small bounds make a hostile template stop at once.
var small = jinja.Limits{Steps: 200_000, Output: 1 << 20, Depth: 200}

func TestHostileTemplatesStop(t *testing.T) {
	deep := func(open, end string) string { return strings.Repeat(open, 5000) + strings.Repeat(end, 5000) }
	for _, src := range []string{
		"{{ 'a' * 10**9 }}", "{{ [1] * 10**12 }}", "{{ 9 ** (10**9) }}", "{{ 'a'.center(10**12) }}", "{{ '%*d' % (10**9, 1) }}",
		"{{ '{:1000000000}'.format(1) }}", "{{ 'x'|indent(10**9) }}", "{{ [1]|tojson(indent=10**9) }}", "{{ 'a'.expandtabs(10**9) ~ '\t'.expandtabs(10**12) }}",
		"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
		"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x|list }}",
		"{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "{{ range(10**6) }}", "{{ [1]|batch(10**9, 0)|list }}", "{{ [1]|slice(10**9)|list }}",
		"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"{{ " + deep("(", ")") + " }}", "{{ " + strings.Repeat("not ", 5000) + "1 }}", "{{ 1" + strings.Repeat("+1", 5000) + " }}",
		"{{ x" + strings.Repeat("[0]", 5000) + " }}", "{% if 1 %}" + strings.Repeat("{% if 1 %}", 5000), "{% set " + deep("(", ")") + " = 1 %}",
	} {
		start := time.Now()
		tpl, err := jinja.Parse(src)
		if err == nil {
			_, err = tpl.Render(nil, jinja.Options{Limits: small})
		}
		var e *jinja.Error
		if !errors.As(err, &e) {
			t.Errorf("%.60q: %v, want an *Error", src, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.60q took %v", src, d)
		}
	}
}

func TestRefusedByName(t *testing.T) {
	for src, want := range map[string]string{
		"{% include 'x' %}": "include", "{% import 'x' as y %}": "import", "{% extends 'x' %}": "extends", "{% block b %}{% endblock %}": "block",
		"{% do x %}": "unknown tag \"do\"", "{{ x|xmlattr }}": "xmlattr", "\n\n{{ x|nope }}": "line 3", "{{ ''.__class__ }}": "unsafe",
		"{{ [].append(1) }}": "unsafe", "{{ strftime_now('%Y') }}": "none was given", "a\n{{ 1/0 }}": "line 2: ZeroDivisionError",
	} {
		tpl, err := jinja.Parse(src)
		if err == nil {
			_, err = tpl.Render(nil, jinja.Options{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", src, err, want)
		}
	}
}

func TestStrftime(t *testing.T) {
	tpl, err := jinja.Parse("{{ strftime_now('%d %b %Y|%-d %A %B %j %U %W %V %u %p %I %y %H:%M:%S%%|%e|%Z') }}")
	if err != nil {
		t.Fatal(err)
	}
	res, err := tpl.Render(nil, jinja.Options{Now: time.Date(2026, 1, 5, 15, 4, 9, 0, time.UTC)})
	want := "05 Jan 2026|5 Monday January 005 01 01 02 1 PM 03 26 15:04:09%| 5|"
	if err != nil || res.Text != want {
		t.Errorf("%q, %v, want %q", res.Text, err, want)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{ s|upper }}", "{% for i in l %}{{ loop.index }}{% endfor %}", "{% macro f(a=1) %}{{ a }}{% endmacro %}{{ f() }}",
		"{{ '%5.2f' % n }}", "{{ '{:>5}'.format(s) }}", "{{ d|tojson(indent=2) }}", "{%- set a, b = l[::-1][:2] -%}", "{{ l|map('string')|join }}"} {
		f.Add(s)
	}
	vars, err := jinja.DecodeJSON([]byte(`{"s":"a☕","n":1.5,"l":[3,1,2],"d":{"k":[null,{}]}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tpl, err := jinja.Parse(src)
		if err == nil {
			_, err = tpl.Render(vars.(*jinja.Dict), jinja.Options{Limits: small})
		}
		var e *jinja.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("%q: %v", src, err)
		}
	})
}
