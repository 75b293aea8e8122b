package quantize_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/quantize"
)

func TestOptionsValidate(t *testing.T) {
	cases := []struct {
		name    string
		options quantize.Options
		want    []string // parts of the error; none if it is valid
	}{
		{"zero", quantize.Options{}, nil},
		{"lower case", quantize.Options{Type: "q4_0"}, nil},
		{"base model", quantize.Options{BaseModel: quantize.BaseModel{Name: "b", Version: "1"}}, nil},
		{"near Q4_0", quantize.Options{Type: "Q4_K_S"}, []string{`type: "Q4_K_S": want one of F32, F16, BF16, Q8_0, Q4_0 (did you mean Q4_0?)`}},
		{"near Q8_0", quantize.Options{Type: "q8"}, []string{`"q8"`, "did you mean Q8_0?"}},
		{"near F16", quantize.Options{Type: "fp16"}, []string{"did you mean F16?"}},
		{"near none", quantize.Options{Type: "int"}, []string{`type: "int": want one of F32, F16, BF16, Q8_0, Q4_0`}},
		{"all faults", quantize.Options{Type: "x", BaseModel: quantize.BaseModel{RepoURL: "u"}}, []string{"type:", "base_model.name:"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.options.Validate()
			if (err != nil) != (c.want != nil) {
				t.Fatalf("Validate = %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Validate = %v, want %q", err, want)
				}
			}
			if c.name == "near none" && strings.Contains(err.Error(), "did you mean") {
				t.Errorf("Validate = %v, want no guess", err)
			}
		})
	}
}

func TestEveryOptionHasAName(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[quantize.Options](), reflect.TypeFor[quantize.BaseModel]()} {
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no yaml tag", typ, f.Name)
			}
		}
	}
}

func TestWithDefaults(t *testing.T) {
	if o := (quantize.Options{}).WithDefaults(); o.Type != "Q8_0" || o.Name != "retort" || o.Pure {
		t.Errorf("defaults %+v", o)
	}
	if o := (quantize.Options{Type: "f16", Name: "n"}).WithDefaults(); o.Type != "F16" || o.Name != "n" {
		t.Errorf("resolved %+v", o)
	}
}
