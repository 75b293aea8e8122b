package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/hub"

	"go.yaml.in/yaml/v4"
)

// hubFiles are the files of an input by split: those of a hub's dataset where
// its cache has them. A recipe never downloads, as with models.
func hubFiles(in *datasets.Input) (map[string][]string, error) {
	if in.Hub == "" {
		return in.Files, nil
	}
	ref := hub.Ref{Name: in.Hub, Revision: cmp.Or(in.Revision, hub.DefaultRevision), Dataset: true}
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	snapshot, err := client.Find(ref)
	if err != nil {
		return nil, fmt.Errorf("%w; retort data pull %s downloads it", err, ref)
	}
	patterns := in.Files
	if len(patterns) == 0 {
		if patterns, err = configFiles(snapshot, in.Config); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	} else if in.Config != "" {
		return nil, errors.New("config: files say which files: remove one of them")
	}
	files := map[string][]string{}
	for split, list := range patterns {
		for _, pattern := range list {
			matches := slices.DeleteFunc(slices.Clone(snapshot.Files), func(name string) bool { return !hub.Matches(pattern, name) })
			if len(matches) == 0 {
				return nil, fmt.Errorf("%s: files: %s: the cache has no such file of it; it has %s", ref, pattern, some(dataFiles(snapshot)))
			}
			for _, name := range matches {
				files[split] = append(files[split], filepath.Join(snapshot.Dir, filepath.FromSlash(name)))
			}
		}
	}
	return files, nil
}

// dataFiles are the files of a snapshot that hold rows.
func dataFiles(s hub.Snapshot) []string {
	return slices.DeleteFunc(slices.Clone(s.Files), func(name string) bool { return !hub.IsData(name) })
}

// some lists names, not too many.
func some(names []string) string {
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// configFiles are the patterns of a configuration by split: as the dataset card
// lists them or, if it does not, by the names of files and folders.
// Format: huggingface.co/docs/hub/datasets-manual-configuration.
func configFiles(s hub.Snapshot, config string) (map[string][]string, error) {
	configs, err := cardConfigs(filepath.Join(s.Dir, "README.md"))
	if err != nil {
		return nil, err
	}
	if len(configs) == 0 {
		return filesByName(dataFiles(s), config)
	}
	var names []string
	for _, c := range configs {
		names = append(names, c.Name)
		if c.Name == config || config == "" && (len(configs) == 1 || c.Default) {
			return c.Files, nil
		}
	}
	if i := slices.Index(names, "default"); config == "" && i >= 0 {
		return configs[i].Files, nil
	}
	return nil, fmt.Errorf("config: %q: want one of %s", config, some(names))
}

// cardConfig is a configuration of a dataset card.
type cardConfig struct {
	Name    string
	Default bool
	Files   map[string][]string // patterns by split
}

// cardConfigs reads the configurations that say which files they have from the
// YAML at the head of a dataset card.
func cardConfigs(card string) ([]cardConfig, error) {
	data, err := os.ReadFile(card)
	if err != nil {
		return nil, nil // a dataset without card
	}
	text, ok := strings.CutPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "---\n")
	head, _, end := strings.Cut(text, "\n---")
	if !ok || !end {
		return nil, nil
	}
	var meta struct {
		Configs []struct {
			Name    string `yaml:"config_name"`
			Default bool   `yaml:"default"`
			Dir     string `yaml:"data_dir"`
			Files   any    `yaml:"data_files"`
		} `yaml:"configs"`
	}
	if err := yaml.Unmarshal([]byte(head), &meta); err != nil {
		return nil, fmt.Errorf("README.md: %w", err)
	}
	var list []cardConfig
	for _, c := range meta.Configs {
		if c.Files == nil {
			continue
		}
		files, err := cardFiles(c.Files, c.Dir)
		if err != nil {
			return nil, fmt.Errorf("README.md: configs: %s: %w", c.Name, err)
		}
		list = append(list, cardConfig{c.Name, c.Default, files})
	}
	return list, nil
}

// cardFiles reads data_files: a pattern, a list of them, which are of the
// training split, or a list of splits with a path or a list of paths each.
func cardFiles(v any, dir string) (map[string][]string, error) {
	files := map[string][]string{}
	add := func(split string, v any) error {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, p := range list {
			text, ok := p.(string)
			if !ok {
				return fmt.Errorf("data_files: %v is no path", p)
			}
			files[split] = append(files[split], path.Join(dir, text))
		}
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		split := datasets.TrainSplit
		if entry, ok := item.(map[string]any); ok {
			item = entry["path"]
			if split, ok = entry["split"].(string); !ok {
				return nil, fmt.Errorf("data_files: %v names no split", entry)
			}
		}
		if err := add(splitCalled(split), item); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// splitCalled is a split's name as files can have it.
func splitCalled(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == ' ' {
			return '_'
		}
		return r
	}, strings.ToLower(name))
}

// splitWords are what files and folders of a split are called.
var splitWords = []struct {
	split string
	words []string
}{
	{"train", []string{"train", "training"}},
	{"validation", []string{"validation", "valid", "val", "dev"}},
	{"test", []string{"test", "testing", "eval", "evaluation"}},
}

// filesByName sorts files into splits by the words in their names and folders;
// files without such a word are of the training split if none has one. A
// configuration is a folder.
func filesByName(names []string, config string) (map[string][]string, error) {
	files := map[string][]string{}
	var rest []string
	for _, name := range names {
		if config != "" && !slices.Contains(strings.Split(path.Dir(name), "/"), config) {
			continue
		}
		if split := splitOf(name); split != "" {
			files[split] = append(files[split], name)
		} else {
			rest = append(rest, name)
		}
	}
	if len(files) == 0 && len(rest) > 0 {
		files[datasets.TrainSplit] = rest
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("config: %q: no file is in such a folder: %s", config, some(names))
	}
	return files, nil
}

// splitOf is the split whose word a name has: its last part counts first.
func splitOf(name string) string {
	parts := strings.Split(strings.ToLower(name), "/")
	for _, part := range slices.Backward(parts) {
		words := strings.FieldsFunc(part, func(r rune) bool { return r < 'a' || r > 'z' })
		for _, s := range splitWords {
			for _, w := range words {
				if slices.Contains(s.words, w) {
					return s.split
				}
			}
		}
	}
	return ""
}
