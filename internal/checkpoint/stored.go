package checkpoint

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/safetensors"
)

// The files of weights in a directory.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// weightFiles lists the files of weights in a directory that was read already.
func weightFiles(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, singleFile)); !errors.Is(err, fs.ErrNotExist) {
		return []string{singleFile}, err
	}
	data, err := os.ReadFile(filepath.Join(dir, indexFile))
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var list []string
	for _, name := range index.WeightMap {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list, nil
}

func storedSafetensors(dir string) (bytes int64, types map[string]*Type, err error) {
	files, err := weightFiles(dir)
	if err != nil {
		return 0, nil, err
	}
	for _, name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return 0, nil, err
		}
		bytes += info.Size()
	}
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	types = map[string]*Type{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		values := int64(1)
		for _, n := range info.Shape {
			values *= int64(n) // the file has as many
		}
		count(types, string(info.Dtype), values, info.Size)
	}
	return bytes, types, nil
}

func storedGGUF(path string) (bytes int64, types map[string]*Type, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, nil, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	types = map[string]*Type{}
	for _, t := range f.Tensors() {
		values := int64(1)
		for _, n := range t.Dims {
			values *= int64(n) // the file has as many
		}
		count(types, t.Type.Name(), values, t.Size)
	}
	return info.Size(), types, nil
}

func count(types map[string]*Type, name string, values, bytes int64) {
	t := types[name]
	if t == nil {
		t = &Type{Name: name}
		types[name] = t
	}
	t.Tensors, t.Values, t.Bytes = t.Tensors+1, t.Values+values, t.Bytes+bytes
}
