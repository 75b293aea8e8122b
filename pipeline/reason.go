package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const (
	// maxHistory is how many runs are read to find what a stage was before.
	maxHistory = 20
	// maxChanges is how many changed options a reason names.
	maxChanges = 4
)

// reasons says why stages run, by comparing them with what they were in
// earlier runs.
type reasons struct {
	store  *Store
	runs   map[*node]bool // the stages that will run
	before map[string]*StageRecord
}

func (r *reasons) reuse(n *node) string {
	for _, in := range n.inputs {
		if r.runs[in] {
			return fmt.Sprintf("artifact present, if %s comes out as before", in.stage.Name)
		}
	}
	return "artifact present"
}

func (r *reasons) run(n *node, v verdict) (string, error) {
	if v.present {
		return v.fault, nil
	}
	old, err := r.previous(n.stage.Name)
	if err != nil {
		return "", err
	}
	var changes []string
	if old != nil && old.ID != n.id {
		changes = r.changes(n, old)
	}
	if len(changes) == 0 {
		changes = r.runningInputs(n)
	}
	switch {
	case len(changes) > 0:
		return strings.Join(changes, "; "), nil
	case old != nil && old.ID == n.id:
		return "its artifact was removed", nil
	}
	return "no artifact", nil
}

func (r *reasons) runningInputs(n *node) []string {
	var list []string
	for _, in := range n.inputs {
		if r.runs[in] {
			list = append(list, fmt.Sprintf("input %s runs", in.stage.Name))
		}
	}
	return list
}

// previous returns the manifest of the named stage's artifact in the latest
// run that has one; nil if there is none or it is gone.
func (r *reasons) previous(stage string) (*Manifest, error) {
	if r.before == nil {
		r.before = make(map[string]*StageRecord)
		ids, err := r.store.runIDs()
		if err != nil {
			return nil, err
		}
		for _, id := range ids[:min(maxHistory, len(ids))] {
			record, err := readRecord(r.store.runDir(id))
			if err != nil {
				continue // a damaged record only makes the reason less precise
			}
			for i := range record.Stages {
				if sr := &record.Stages[i]; sr.made() && r.before[sr.Name] == nil {
					r.before[sr.Name] = sr
				}
			}
		}
	}
	sr := r.before[stage]
	if sr == nil {
		return nil, nil
	}
	a := r.store.loadArtifact(sr.dirName())
	if a == nil || a.Damage != nil {
		return nil, nil
	}
	return a.Manifest, nil
}

// changes lists how n differs from what it was.
func (r *reasons) changes(n *node, old *Manifest) []string {
	var list []string
	if old.Kind != n.stage.Kind || old.Version != n.stage.Version || old.Format != formatVersion {
		list = append(list, "the stage's version changed")
	}
	if keys := changedOptions(old.Options, n.options); len(keys) > 0 {
		if len(keys) > maxChanges {
			keys = append(keys[:maxChanges], fmt.Sprintf("%d more", len(keys)-maxChanges))
		}
		list = append(list, "options changed: "+strings.Join(keys, ", "))
	}
	if len(old.Inputs) != len(n.inputs) {
		list = append(list, "other inputs")
	} else {
		for i, in := range n.inputs {
			if old.Inputs[i].ID == in.id {
				continue
			}
			what := "changed"
			if r.runs[in] {
				what = "runs"
			}
			list = append(list, fmt.Sprintf("input %s %s", in.stage.Name, what))
		}
	}
	return append(list, changedFiles(old.Outside, n.outside)...)
}

func changedFiles(old, now []OutsideFile) []string {
	if len(old) != len(now) {
		return []string{"other files"}
	}
	var list []string
	for i := range now {
		if old[i] != now[i] {
			list = append(list, fmt.Sprintf("file %s changed", now[i].Name))
		}
	}
	if len(list) > maxChanges {
		return []string{fmt.Sprintf("%d files changed", len(list))}
	}
	return list
}

// changedOptions returns the paths of the options that differ, sorted.
func changedOptions(old, now []byte) []string {
	changed := make(map[string]bool)
	compareJSON("", decodeJSON(old), decodeJSON(now), changed)
	return slices.Sorted(maps.Keys(changed))
}

func compareJSON(path string, old, now any, changed map[string]bool) {
	a, okA := old.(map[string]any)
	b, okB := now.(map[string]any)
	if !okA || !okB {
		if !reflect.DeepEqual(old, now) {
			changed[strings.TrimPrefix(path, ".")] = true
		}
		return
	}
	for k := range a {
		compareJSON(path+"."+k, a[k], b[k], changed)
	}
	for k := range b {
		if _, seen := a[k]; !seen {
			compareJSON(path+"."+k, nil, b[k], changed)
		}
	}
}

// decodeJSON keeps the digits of numbers. The data is canonical JSON, which
// was checked when it was made or read.
func decodeJSON(data []byte) any {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}
