package model

import (
	"slices"
	"testing"
)

func TestPythonExpressions(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{`q_proj\Z`, "q_proj", true},
		{`a{,2}b`, "aab", true},
		{`a{,2}b`, "a{,2}b", false}, // as Go alone would read it
		{`[a{,2}]+`, "{,2}", true},
		{`[]a]+`, "]a", true},
		{`[^]a]`, "b", true},
		{`[[:alpha:]+`, "[:", true},
		{`(?P<n>q|v)_proj`, "v_proj", true},
		{`\d+\.\w+`, "12.ab", true},
		{`(?i)Q_PROJ`, "q_proj", true},
	} {
		re, err := pyRegexp("^(?:" + c.pattern + ")$")
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if got := re.MatchString(c.text); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
	for _, pattern := range []string{`(?!x)`, `(?=x)`, `(?<=x)y`, `(?<!x)y`, `(a)\1`, `(?P<n>a)(?P=n)`, `(?>a)`, `a++`, `\pL`, `\Qa\E`, `a\z`, `(?<n>a)`, `(?U)a`, `(`, `[`, `\`} {
		if _, err := pyRegexp(pattern); err == nil {
			t.Errorf("%s is accepted", pattern)
		}
	}
}

// Of several keys that match, the file's first counts.
func TestPatternsKeepTheirOrder(t *testing.T) {
	var p patterns[int]
	if err := p.UnmarshalJSON([]byte(`{"v_proj": 2, "layers.1.self_attn.v_proj": 7, "a.*": 3}`)); err != nil {
		t.Fatal(err)
	}
	find, err := p.find(1)
	if err != nil {
		t.Fatal(err)
	}
	got := []int{find("model.layers.1.self_attn.v_proj"), find("v_proj"), find("xv_proj"), find("x.ab"), find("model.av_proj.b")}
	if !slices.Equal(got, []int{2, 2, 1, 3, 3}) {
		t.Errorf("%v", got)
	}
	for _, bad := range []string{`[1]`, `{"a": "b"}`, `{"a": 1.5}`, `3`, ``, `{"a": 1`} {
		if err := p.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func FuzzAdapterConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type": "LORA", "target_modules": ["q_proj"], "rank_pattern": {"v_proj": 2}}`))
	f.Add([]byte(`{"peft_type": "LORA", "target_modules": "(?:a{,3})\\Z", "layers_to_transform": 1, "layers_pattern": "h"}`))
	f.Add([]byte(`{"peft_type": "LORA", "target_modules": "all-linear", "lora_bias": true, "bias": "lora_only", "use_dora": false}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseAdapterConfig(data)
		if err != nil {
			return
		}
		o := c.options()
		s, err := newSelector(&o, true)
		if err != nil {
			return
		}
		s.chosenBy("model.layers.0.self_attn.q_proj", true)
		if _, err := sizesOf(&o, c.RankPattern, c.AlphaPattern, []target{{name: "model.layers.0.self_attn.q_proj"}}); err != nil {
			return
		}
	})
}
