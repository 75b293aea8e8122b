package recipes

import (
	"fmt"
	"slices"
	"strings"
)

// checker finds what is wrong in a recipe that decoded.
type checker struct {
	*decoder
	recipe *Recipe
	name   string // of the stage being checked
	path   string
}

// fault blames the line of key in the stage, or the stage's own.
func (c *checker) blame(key, format string, args ...any) {
	path, line := c.path, c.lines[c.path]
	if key != "" {
		path = join(c.path, key)
	}
	for at := path; at != ""; {
		if l, ok := c.lines[at]; ok {
			line = l
			break
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			break
		}
		at = at[:i]
	}
	c.faults = append(c.faults, Fault{c.file, line, path, fmt.Sprintf(format, args...)})
}

// options takes up what a package's Validate says: errors joined, each
// beginning with the key it is about.
func (c *checker) options(prefix string, err error) {
	for _, e := range flatten(err) {
		key, message, ok := strings.Cut(e.Error(), ": ")
		if !ok || strings.ContainsAny(key, " \t\n") {
			key, message = "", e.Error()
		}
		if key == "" {
			c.blame(prefix, "%s", message)
		} else {
			c.blame(join(prefix, key), "%s", message)
		}
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []error
		for _, e := range joined.Unwrap() {
			list = append(list, flatten(e)...)
		}
		return list
	}
	return []error{err}
}

// splitStage is a stage that makes a dataset.
type splitStage interface {
	stage
	splits() []string // of the dataset
}

// split checks a reference to examples: "stage.split" of a dataset.
func (c *checker) split(key, ref string) {
	name, split, _ := strings.Cut(ref, ".")
	s, ok := c.recipe.find(name).(splitStage)
	switch {
	case ref == "":
		c.blame(key, "want a split of a dataset, such as %s", c.exampleSplit())
	case !ok:
		c.blame(key, "%s", unknown("dataset", name, c.names(func(s stage) bool { _, ok := s.(splitStage); return ok })))
	case !slices.Contains(s.splits(), split):
		c.blame(key, "%s", unknown("split of "+name, split, s.splits()))
	}
}

func (c *checker) exampleSplit() string {
	for _, s := range c.recipe.stages {
		if d, ok := s.spec.(splitStage); ok && len(d.splits()) > 0 {
			return s.name + "." + d.splits()[0]
		}
	}
	return "data.train"
}

// model checks a reference to a model.
func (c *checker) model(key, ref string) {
	if ref == "" {
		c.blame(key, "want a model")
		return
	}
	if err := c.recipe.checkModel(ref); err != nil {
		c.blame(key, "%s", err)
	}
}

// teacher checks a reference to a model that is asked: any at all.
func (c *checker) teacher(key, ref string) {
	if m, ok := c.recipe.Models[ref]; ok && !m.hasWeights() {
		return
	}
	c.model(key, ref)
}

// subject checks a reference to a model that scores labels: a classifier stage, or any model.
func (c *checker) subject(key, ref string) {
	if _, ok := c.recipe.find(ref).(*classifierStage); !ok {
		c.model(key, ref)
	}
}

// names lists the stages that want accepts.
func (c *checker) names(want func(stage) bool) []string {
	var list []string
	for _, s := range c.recipe.stages {
		if want(s.spec) {
			list = append(list, s.name)
		}
	}
	return list
}

// cycles finds a stage that depends on itself, which following references to a
// model's base would not survive.
func (c *checker) cycles() {
	if len(c.faults) > 0 {
		return
	}
	state := map[string]int{}
	var walk func(name string) bool
	walk = func(name string) bool {
		if state[name] != 0 {
			return state[name] == 1
		}
		state[name] = 1
		if s := c.recipe.find(name); s != nil {
			for _, ref := range c.recipe.references(s) {
				head, _, _ := strings.Cut(ref, ".")
				if walk(head) {
					return true
				}
			}
		}
		state[name] = 2
		return false
	}
	for _, s := range c.recipe.stages {
		if walk(s.name) {
			c.path = "stages." + s.name
			c.blame("", "it depends on itself")
			return
		}
	}
}

// references are the names that a stage's keys refer to.
func (r *Recipe) references(s stage) []string {
	switch s := s.(type) {
	case *datasetStage:
		_, splits := s.against(r)
		return splits
	case *tokenizerStage:
		return []string{s.On}
	case *tokensStage:
		return []string{s.Student, s.Tokenizer, s.On}
	case *trainStage:
		refs := []string{s.Student, s.Tokenizer, s.On, s.Valid}
		if s.OnPolicy != nil {
			refs = append(refs, s.OnPolicy.Teacher)
		}
		return refs
	case *classifierStage:
		return []string{s.Student, s.On, s.Valid, s.Teacher}
	case *answersStage:
		refs := []string{s.Teacher, s.From}
		if s.Judge != nil {
			refs = append(refs, s.Judge.Teacher)
		}
		return refs
	case *synthesizeStage:
		return []string{s.Teacher, s.From}
	case *quantizeStage:
		return []string{s.Model}
	case *evalStage:
		return append([]string{s.On, s.Train}, s.Models...)
	}
	return nil
}
