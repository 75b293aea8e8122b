package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// patterns is rank_pattern or alpha_pattern: regular expressions for the ends
// of paths, in the order in which they are tried.
type patterns[T any] []patternEntry[T]

type patternEntry[T any] struct {
	key   string
	value T
}

// sorted is a map in the order in which PEFT writes it.
func sorted[T any](values map[string]T) patterns[T] {
	var p patterns[T]
	for _, key := range slices.Sorted(maps.Keys(values)) {
		p = append(p, patternEntry[T]{key, values[key]})
	}
	return p
}

// UnmarshalJSON keeps the order of an object's keys, which decides among
// several that match.
func (p *patterns[T]) UnmarshalJSON(data []byte) error {
	var values map[string]T
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*p = nil
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil || values == nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
		name, _ := key.(string)
		*p = append(*p, patternEntry[T]{name, values[name]})
	}
	return nil
}

// values is p as a map, empty rather than nil.
func (p patterns[T]) values() map[string]T {
	m := map[string]T{}
	for _, e := range p {
		m[e.key] = e.value
	}
	return m
}

// find returns a function that gives the value for a path: that of the first
// key that matches the path or its end after a dot, as PEFT's get_pattern_key
// does it, or else otherwise.
func (p patterns[T]) find(otherwise T) (func(path string) T, error) {
	type rule struct {
		matches func(string) bool
		value   T
	}
	var rules []rule
	for _, e := range p {
		re, err := pyRegexp(`^(?:.*\.)?(?:` + e.key + `)$`)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", e.key, err)
		}
		rules = append(rules, rule{re.MatchString, e.value})
	}
	return func(path string) T {
		for _, r := range rules {
			if r.matches(path) {
				return r.value
			}
		}
		return otherwise
	}, nil
}

// sizesOf are the ranks and alphas of the targets' updates.
func sizesOf(o *LoRA, ranks patterns[int], alphas patterns[float64], targets []target) (map[string]updateSize, error) {
	rank, err := ranks.find(o.R)
	if err != nil {
		return nil, fmt.Errorf("rank_pattern: %w", err)
	}
	alpha, err := alphas.find(o.Alpha)
	if err != nil {
		return nil, fmt.Errorf("alpha_pattern: %w", err)
	}
	sizes := map[string]updateSize{}
	for _, t := range targets {
		s := updateSize{rank(t.name), alpha(t.name)}
		if s.r < 1 {
			return nil, fmt.Errorf("rank of %s is %d", t.name, s.r)
		}
		sizes[t.name] = s
	}
	return sizes, nil
}
