package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

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
		if !m.hasWeights() {
			d.remote(r, &m, blame)
			continue
		}
		switch {
		case m.Hub == "" && m.Revision != "":
			blame("revision", "it is of a model of a hub: want hub, too")
		case m.Hub == "" && m.Path == "":
			blame("path", "want a Hugging Face directory or a .gguf file, or hub: the name of a model, or api, or recorded")
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

// remote checks a model that is asked through an API, or recorded.
func (d *decoder) remote(r *Recipe, m *Source, blame func(key, format string, args ...any)) {
	if m.isRecorded() && m.Redact != nil {
		blame("redact", "nothing is sent anywhere")
	}
	for key, set := range map[string]bool{"path": m.Path != "", "hub": m.Hub != "", "revision": m.Revision != "", "chat": m.Chat != nil} {
		if set {
			blame(key, "it is of a model with weights; this one is asked through an API, or recorded")
		}
	}
	faults := func(prefix string, err error) {
		for _, e := range flatten(err) {
			key, message, ok := strings.Cut(e.Error(), ": ")
			if !ok || strings.ContainsAny(key, " \t\n") {
				key, message = "", e.Error()
			}
			blame(strings.Trim(prefix+"."+key, "."), "%s", message)
		}
	}
	if m.isRecorded() {
		if m.isRemote() {
			blame("recorded", "the model has an api already")
		}
		faults("recorded", recordedOptions(m.Recorded).Validate())
		return
	}
	faults("", m.Options.Validate())
	if m.Redact != nil {
		faults("redact", m.Redact.validate())
	}
	if m.API == "" {
		return
	}
	if _, err := m.price(); err != nil {
		blame("price", "%v", err)
	}
	if r.Offline && !m.isHere() {
		blame("base_url", "the recipe says offline: true, and the server is not on this machine")
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
