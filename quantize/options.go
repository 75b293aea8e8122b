package quantize

import (
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
)

// Options control WriteGGUF. The zero value is Q8_0.
type Options struct {
	// Type is the format of the matrices: F32, F16, BF16, Q8_0 or Q4_0, in upper or
	// lower case; empty means Q8_0. Vectors are always F32.
	Type string `yaml:"type"`
	// Pure gives every matrix Type. Without it the matrix that makes the logits
	// (the embedding too, if it is tied) is Q8_0 in a Q4_0 file, as its errors
	// go into every answer unchanged; llama-quantize keeps it in Q6_K.
	Pure      bool      `yaml:"pure"`
	Name      string    `yaml:"name"`       // general.name; empty means retort; WriteGGUF says more
	License   string    `yaml:"license"`    // general.license, an SPDX expression; empty means none
	BaseModel BaseModel `yaml:"base_model"` // what the model was tuned from; empty means nothing

	// Source is the id of the artifact that the model is from, for those who
	// follow a file back; empty means none. It follows from a stage's inputs,
	// so it is no option of a recipe.
	Source string `yaml:"-" json:"-"`
}

// BaseModel names a model as the keys general.base_model.0.* do. Empty fields
// are left out.
type BaseModel struct {
	Name         string `yaml:"name"`
	Organization string `yaml:"organization"`
	Version      string `yaml:"version"`
	RepoURL      string `yaml:"repo_url"`
}

// types are the formats that files are written in.
var types = []compute.Format{compute.F32, compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0}

// WithDefaults returns o with its empty fields filled in and Type in upper case.
func (o Options) WithDefaults() Options {
	if o.Type == "" {
		o.Type = compute.Q8_0.String()
	}
	o.Type = strings.ToUpper(o.Type)
	if o.Name == "" {
		o.Name = "retort"
	}
	return o
}

// Validate reports every field that is out of range.
func (o Options) Validate() error {
	var errs []error
	if _, err := o.format(); err != nil {
		errs = append(errs, err)
	}
	if o.BaseModel != (BaseModel{}) && o.BaseModel.Name == "" {
		errs = append(errs, errors.New("base_model.name: want a name, as other fields of base_model are given"))
	}
	return errors.Join(errs...)
}

// format is the format that Type names.
func (o Options) format() (compute.Format, error) {
	name := o.WithDefaults().Type
	names := make([]string, len(types))
	for i, f := range types {
		names[i] = f.String()
		if names[i] == name {
			return f, nil
		}
	}
	hint := ""
	if n := nearest(name, names); n != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", n)
	}
	return 0, fmt.Errorf("type: %q: want one of %s%s", o.Type, strings.Join(names, ", "), hint)
}

// nearest is the first of the names that share the most characters with word,
// in order; "" if all of them share fewer than two.
func nearest(word string, names []string) string {
	best, most := "", 1
	for _, name := range names {
		if n := common(word, name); n > most {
			best, most = name, n
		}
	}
	return best
}

// common is the length of the longest common subsequence of a and b.
func common(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range len(a) {
		diagonal := 0
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
