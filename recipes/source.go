package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/retort-ml/retort/internal/hub"
)

// sources checks where models lie and how they are asked, and finds those of a hub in its cache. A
// recipe never downloads: what it would bring could change between a plan and
// the run. As stages are named by the content of the files that they read, the
// ids follow the commit that the cache has, not the name of a branch.
func (d *decoder) sources(r *Recipe) {
	for _, name := range slices.Sorted(maps.Keys(r.Models)) {
		m := r.Models[name]
		blame := func(key, format string, args ...any) {
			path := "models." + name
			line := cmp.Or(d.lines[path+"."+key], d.lines[path])
			d.faults = append(d.faults, Fault{d.file, line, path + "." + key, fmt.Sprintf(format, args...)})
		}
		switch {
		case m.Hub == "" && m.Revision != "":
			blame("revision", "it is of a model of a hub: want hub, too")
		case m.Hub == "" && m.Path == "":
			blame("path", "want a Hugging Face directory or a .gguf file, or hub: the name of a model")
		case m.Hub != "" && m.Path != "":
			blame("hub", "the model has a path already")
		case m.Hub != "":
			ref := hub.Ref{Name: m.Hub, Revision: cmp.Or(m.Revision, hub.DefaultRevision)}
			path, err := cached(ref)
			if err != nil {
				blame("hub", "%v", err)
			}
			m.Path = path
			r.Models[name] = m
		}
		if m.Chat != nil {
			err := m.Chat.validate()
			if err == nil && isEncoder(m.Path) {
				err = errors.New("an encoder reads texts as they are")
			}
			if err != nil {
				blame("chat", "%v", err)
			}
		}
	}
}

// cached is the path of a model in the hub's cache.
func cached(ref hub.Ref) (string, error) {
	if err := ref.Validate(); err != nil {
		return "", err
	}
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", err
	}
	snapshot, err := client.Find(ref)
	if err != nil {
		return "", fmt.Errorf("%w; retort model pull %s downloads it", err, ref)
	}
	return snapshot.Model()
}
