package safetensors

import (
	"path/filepath"
	"testing"
)

// FuzzIndex wants no panic, and of what is accepted no way out of the directory.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x"}}`))
	f.Add([]byte(`{"weight_map":{"a":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		index, err := parseIndex(text)
		if err != nil {
			return
		}
		for name, shard := range index {
			if !filepath.IsLocal(shard) {
				t.Errorf("%q is in %q", name, shard)
			}
		}
	})
}
