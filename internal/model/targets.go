package model

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// allLinear is PEFT's word for every linear layer except the output layer.
const allLinear = "all-linear"

// selector tells which modules get a low-rank update, by PEFT's rules
// (check_target_module_exists in peft/tuners/tuners_utils.py).
type selector struct {
	names    []string       // paths, or ends of them after a dot
	pattern  *regexp.Regexp // of whole paths, instead of names
	exclude  []string
	excludes *regexp.Regexp
	saved    []*regexp.Regexp // what is trained whole gets no update
	layers   []int            // of the layers that a name may mean; nil for all
	index    []*regexp.Regexp // finds a layer's number in a path
}

// newSelector checks what o says about targets, and reports the field at fault:
// of LoRA, or if it is from a file, of that.
func newSelector(o *LoRA, file bool) (*selector, error) {
	targets, excludes := "target_pattern", "exclude_pattern"
	if file {
		targets, excludes = "target_modules", "exclude_modules"
	}
	s := &selector{names: o.Targets, exclude: o.Exclude, layers: o.Layers}
	var err error
	whole := func(field, pattern string) *regexp.Regexp {
		if pattern == "" || err != nil {
			return nil
		}
		var re *regexp.Regexp
		if re, err = pyRegexp("^(?:" + pattern + ")$"); err != nil {
			err = fmt.Errorf("%s: %w", field, err)
		}
		return re
	}
	s.pattern, s.excludes = whole(targets, o.TargetPattern), whole(excludes, o.ExcludePattern)
	for _, name := range o.ModulesToSave {
		s.saved = append(s.saved, whole("modules_to_save", `(?:.*\.)?`+name+`(?:\..*)?`))
	}
	for _, name := range o.LayersPattern {
		s.index = append(s.index, whole("layers_pattern", `.*\.`+name+`\.(\d+)\..*`))
	}
	if len(s.index) == 0 {
		s.index = append(s.index, whole("layers_pattern", `.*\.[^.]*\.(\d+)\..*`))
	}
	switch {
	case err != nil:
		return nil, err
	case s.pattern != nil && len(s.layers) > 0:
		return nil, fmt.Errorf("layers_to_transform: it works with names as targets, not with a pattern")
	case len(o.LayersPattern) > 0 && len(s.layers) == 0:
		return nil, fmt.Errorf("layers_pattern: it needs layers_to_transform")
	}
	return s, nil
}

// isTarget tells whether name is module's path, or its end after a dot.
func isTarget(module, name string) bool { return module == name || strings.HasSuffix(module, "."+name) }

// excluded tells whether a path gets no update whatever the targets say.
func (s *selector) excluded(path string) bool {
	return slices.ContainsFunc(s.exclude, func(name string) bool { return isTarget(path, name) }) ||
		s.excludes != nil && s.excludes.MatchString(path) ||
		slices.ContainsFunc(s.saved, func(re *regexp.Regexp) bool { return re.MatchString(path) })
}

// chosenBy is the target that selects the path, if one does: a name, or true
// alone for a pattern. linear says that it is a layer that all-linear means.
func (s *selector) chosenBy(path string, linear bool) (name string, ok bool) {
	if s.excluded(path) {
		return "", false
	}
	if s.pattern != nil {
		return "", s.pattern.MatchString(path)
	}
	for _, name := range s.names {
		switch {
		case path == name:
			return name, true
		case strings.EqualFold(name, allLinear) && linear, isTarget(path, name):
			if s.inLayers(path) {
				return name, true
			}
		}
	}
	return "", false
}

// inLayers tells whether a path is in one of the layers to transform.
func (s *selector) inLayers(path string) bool {
	if len(s.layers) == 0 {
		return true
	}
	for _, re := range s.index {
		if found := re.FindStringSubmatch(path); found != nil {
			n, err := strconv.Atoi(found[1])
			return err == nil && slices.Contains(s.layers, n)
		}
	}
	return false
}

// targets are the modules that o selects, in the model's order. With strict, a
// name that selects nothing is an error; PEFT wants only that some name does.
func (m *Model) targets(o *LoRA, strict bool) ([]target, error) {
	s, err := newSelector(o, !strict)
	if err != nil {
		return nil, err
	}
	var list []target
	used := map[string]bool{}
	for _, t := range m.allTargets() {
		for _, name := range s.names {
			used[name] = used[name] || isTarget(t.name, name) || strings.EqualFold(name, allLinear)
		}
		if _, ok := s.chosenBy(t.name, t.part != nil); ok {
			list = append(list, t)
		}
	}
	for _, name := range s.names {
		if strict && !used[name] {
			return nil, fmt.Errorf("target %q is no layer of a %s model: there are %s", name, m.Config.ModelType, strings.Join(m.layerNames(), ", "))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("target_modules %s: no such linear layer in a %s model: there are %s", o.targetText(), m.Config.ModelType, strings.Join(m.layerNames(), ", "))
	}
	return list, nil
}

// targetText is what o says of targets, for messages.
func (o *LoRA) targetText() string {
	if o.TargetPattern != "" {
		return strconv.Quote(o.TargetPattern)
	}
	return fmt.Sprintf("%q", o.Targets)
}

// layerNames are the last parts of the paths of what can get an update.
func (m *Model) layerNames() []string {
	var names []string
	for _, t := range m.allTargets() {
		if name := t.name[strings.LastIndexByte(t.name, '.')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
