package jinja_test

import (
	"os"
	"testing"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// TestPython compares expressions and small templates with Jinja 3.1.6 under
// Python 3, which wrote testdata/python.json.
func TestPython(t *testing.T) {
	data, err := os.ReadFile("testdata/python.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jinja.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	vars, _ := v.(*jinja.Dict).Get("vars")
	cases, _ := v.(*jinja.Dict).Get("cases")
	for _, c := range cases.(*jinja.List).Items {
		c := c.(*jinja.Dict)
		src, _ := c.Get("src")
		want, isText := c.Get("want")
		tpl, err := jinja.Parse(src.(string))
		var got string
		if err == nil {
			var res *jinja.Result
			if res, err = tpl.Render(vars.(*jinja.Dict), jinja.Options{}); err == nil {
				got = res.Text
			}
		}
		switch {
		case !isText && err == nil:
			reason, _ := c.Get("error")
			t.Errorf("%q gave %q, want the error %v", src, got, reason)
		case isText && err != nil:
			t.Errorf("%q: %v, want %q", src, err, want)
		case isText && got != want:
			t.Errorf("%q gave %q, want %q", src, got, want)
		}
	}
}
