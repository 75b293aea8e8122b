package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// WriteModel writes tensors into the existing directory dir, as transformers
// does: to model.safetensors if they take at most maxShardBytes or that is 0,
// else to shards of at most that many bytes of tensors (a larger tensor gets a
// shard of its own), filled in the order given, and then an index. It refuses
// a directory that holds weights already, since a reader could mix the two.
func WriteModel(dir string, tensors []Tensor, maxShardBytes int64) error {
	if maxShardBytes < 0 {
		return fmt.Errorf("write model %s: shards of %d bytes", dir, maxShardBytes)
	}
	if err := check(tensors); err != nil {
		return fmt.Errorf("write model %s: %w", dir, err)
	}
	if err := refuseWeights(dir); err != nil {
		return fmt.Errorf("write model %s: %w", dir, err)
	}
	metadata := map[string]string{"format": "pt"} // transformers refuses files without
	shards := cut(tensors, maxShardBytes)
	if len(shards) <= 1 {
		return WriteFile(filepath.Join(dir, singleName), tensors, metadata)
	}
	index := modelIndex{WeightMap: make(map[string]string, len(tensors))}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		if err := WriteFile(filepath.Join(dir, name), shard, metadata); err != nil {
			return err
		}
		for _, t := range shard {
			index.WeightMap[t.Name] = name
			index.Metadata.TotalSize += int64(len(t.Data))
		}
	}
	// Last, so that the directory of a killed writer is no model.
	return index.write(filepath.Join(dir, indexName))
}

func refuseWeights(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		for _, pattern := range []string{singleName, indexName, "model-*-of-*.safetensors"} {
			if match, err := filepath.Match(pattern, entry.Name()); err != nil || match {
				return fmt.Errorf("%s: %w", entry.Name(), fs.ErrExist)
			}
		}
	}
	return nil
}

// cut splits tensors into runs of at most maxBytes each; 0 means no limit.
func cut(tensors []Tensor, maxBytes int64) [][]Tensor {
	var shards [][]Tensor
	begin, size := 0, int64(0)
	for i, t := range tensors {
		n := int64(len(t.Data))
		if maxBytes > 0 && i > begin && n > maxBytes-size {
			shards = append(shards, tensors[begin:i])
			begin, size = i, 0
		}
		size += n
	}
	return append(shards, tensors[begin:])
}

type modelIndex struct {
	Metadata struct {
		TotalSize int64 `json:"total_size"`
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

func (index modelIndex) write(path string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(index); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, text.Bytes())
}
