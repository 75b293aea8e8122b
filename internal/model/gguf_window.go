package model

import (
	"slices"

	"github.com/retort-ml/retort/internal/gguf"
)

// Keys that files of Gemma have where a model is not as the first ones were.
const (
	windowPattern = "attention.sliding_window_pattern"
	localThetaKey = "rope.freq_base_swa"
	finalSoftcap  = "final_logit_softcapping"
)

// layerTypesOf are the kinds of n layers where every period-th has no window.
func layerTypesOf(n, period int) []string {
	types := make([]string, n)
	for i := range types {
		types[i] = slidingAttention
		if (i+1)%period == 0 {
			types[i] = fullAttention
		}
	}
	return types
}

// windowMetadata adds the keys of layers with and without a window that differ
// from what llama.cpp takes without them.
func (c *Config) windowMetadata(add func(key string, v any)) {
	if c.LocalRopeTheta != 0 && c.LocalRopeTheta != localThetaGGUF {
		add(localThetaKey, float32(c.LocalRopeTheta))
	}
	period := c.gguf().pattern
	if types := c.layerTypes(); period > 0 && !slices.Equal(types, layerTypesOf(len(types), period)) {
		windows := make([]bool, len(types))
		for i, kind := range types {
			windows[i] = kind == slidingAttention
		}
		add(windowPattern, windows)
	}
}

// layerTypes are the kinds of n layers: a list, a period, or the family's own.
func (r *archReader) layerTypes(f *ggufFamily, n int) []string {
	windows, ok, err := gguf.Get[[]bool](r.meta, r.prefix+windowPattern)
	if !ok || err != nil {
		return layerTypesOf(n, max(1, r.size(windowPattern, f.pattern))) // 0 after an error
	}
	r.known[windowPattern] = true
	if len(windows) != n {
		r.bad(windowPattern, ": %d values for %d layers", len(windows), n)
		return layerTypesOf(n, f.pattern)
	}
	types := make([]string, n)
	for i, window := range windows {
		types[i] = fullAttention
		if window {
			types[i] = slidingAttention
		}
	}
	return types
}

// has tells whether the file has the key.
func (r *archReader) has(key string) bool {
	return slices.ContainsFunc(r.meta, func(kv gguf.KV) bool { return kv.Key == r.prefix+key })
}
