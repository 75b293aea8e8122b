package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	indexFile  = "model.safetensors.index.json"
	singleFile = "model.safetensors"
)

// small are the files beside the weights that say what a model is: those that
// a repository has are taken.
var small = []string{
	"config.json", "generation_config.json", "adapter_config.json", "quantize_config.json", "quantization_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
	"merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja", "chat_template.json",
	"additional_chat_templates/*.jinja", "LICENSE", "LICENSE.txt", "LICENSE.md",
}

// IsData tells whether a dataset's file holds rows: Parquet, JSON, CSV or TSV,
// also packed.
func IsData(name string) bool {
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	switch path.Base(name) {
	case "dataset_infos.json", "dataset_info.json", "state.json", "package.json":
		return false // about the rows
	}
	return slices.Contains([]string{".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv"}, path.Ext(name)) && !strings.HasPrefix(path.Base(name), ".")
}

// chooseData picks a dataset's files: those of rows, or those that the patterns
// include, and the card.
func (l *listing) chooseData(include []string) ([]file, error) {
	chosen, rows := map[string]bool{}, false
	for name := range l.files {
		if slices.Contains([]string{"README.md", "LICENSE", "LICENSE.txt", "LICENSE.md"}, name) {
			chosen[name] = true
		} else if len(include) == 0 && IsData(name) {
			chosen[name], rows = true, true
		}
	}
	for _, pattern := range include {
		if err := l.include(chosen, pattern); err != nil {
			return nil, err
		}
	}
	if !rows && len(include) == 0 {
		return nil, fmt.Errorf("the repository has no Parquet, JSON, CSV or TSV files; revision refs/convert/parquet may have them")
	}
	return l.sorted(chosen)
}

// choose picks what to download first: what is small, the index or the only
// file of weights, and what the patterns include.
func (l *listing) choose(include []string) ([]file, error) {
	chosen := map[string]bool{}
	for name := range l.files {
		if slices.ContainsFunc(small, func(pattern string) bool { ok, err := path.Match(pattern, name); return ok && err == nil }) {
			chosen[name] = true
		}
	}
	weights := ""
	for _, name := range []string{singleFile, indexFile, "adapter_model.safetensors"} {
		if _, ok := l.files[name]; ok {
			chosen[name], weights = true, name
			break
		}
	}
	for _, pattern := range include {
		if err := l.include(chosen, pattern); err != nil {
			return nil, err
		}
	}
	if weights == "" && len(include) == 0 {
		return nil, l.noWeights()
	}
	return l.sorted(chosen)
}

// include adds the files that a pattern matches: the whole name, or what
// follows the last slash if the pattern has none.
func (l *listing) include(chosen map[string]bool, pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("include %q: %w", pattern, err)
	}
	found := false
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if !Matches(pattern, name) {
			continue
		}
		if isPickle(name) {
			return fmt.Errorf("include %q: %s may be a pickle, which runs code when it is read: such files are never downloaded", pattern, name)
		}
		chosen[name], found = true, true
	}
	if !found {
		return fmt.Errorf("include %q: the repository has no such file", pattern)
	}
	return nil
}

// Matches tells whether a pattern, which is well formed, means a file: the
// whole name or, without a slash, its last part; ** is any number of folders.
func Matches(pattern, name string) bool {
	if ok, _ := path.Match(pattern, name); ok {
		return true
	}
	if before, after, deep := strings.Cut(pattern, "**/"); deep {
		rest, ok := strings.CutPrefix(name, before)
		for ; ok; _, rest, ok = strings.Cut(rest, "/") {
			if match, _ := path.Match(after, rest); match {
				return true
			}
		}
		return false
	}
	ok, _ := path.Match(pattern, path.Base(name))
	return ok && !strings.Contains(pattern, "/")
}

// noWeights says what there is instead.
func (l *listing) noWeights() error {
	var ggufs, other []string
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		switch {
		case strings.EqualFold(path.Ext(name), ".gguf"):
			ggufs = append(ggufs, name)
		case isPickle(name):
			other = append(other, name)
		}
	}
	switch {
	case len(ggufs) > 0:
		return fmt.Errorf("the repository has no %s, but GGUF files: include one of %s", singleFile, strings.Join(ggufs[:min(len(ggufs), 20)], ", "))
	case len(other) > 0:
		return fmt.Errorf("the repository has no %s; %s may be a pickle, which runs code when it is read: such files are never downloaded", singleFile, other[0])
	}
	return fmt.Errorf("the repository has no %s and no %s", singleFile, indexFile)
}

// sorted are the chosen files, none of which a file system could take for another.
func (l *listing) sorted(chosen map[string]bool) ([]file, error) {
	var list []file
	folded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		if isPickle(name) {
			return nil, fmt.Errorf("%s may be a pickle, which runs code when it is read: such files are never downloaded", name)
		}
		key := strings.ToLower(name)
		if other, ok := folded[key]; ok {
			return nil, fmt.Errorf("the repository has %s and %s, which are one file on some systems", other, name)
		}
		folded[key] = name
		list = append(list, l.files[name])
	}
	return list, nil
}

// shards are the files that the index names.
func (l *listing) shards(index []byte) ([]file, error) {
	names, err := shardNames(index)
	if err != nil {
		return nil, err
	}
	chosen := map[string]bool{}
	for _, name := range names {
		if _, ok := l.files[name]; !ok {
			return nil, fmt.Errorf("%s names %q, which the repository does not have", indexFile, name)
		}
		chosen[name] = true
	}
	return l.sorted(chosen)
}

// shardNames reads the names of the shards from an index.
func shardNames(index []byte) ([]string, error) {
	var content struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	if len(content.WeightMap) == 0 {
		return nil, fmt.Errorf("%s: weight_map names no tensors", indexFile)
	}
	names := map[string]bool{}
	for _, name := range content.WeightMap {
		if path.Ext(name) != ".safetensors" || checkPath(name) != nil {
			return nil, fmt.Errorf("%s: weight_map names %q: want a .safetensors file", indexFile, name)
		}
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}
