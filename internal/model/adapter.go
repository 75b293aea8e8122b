package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// adapterConfig is adapter_config.json as far as it changes the mathematics;
// the order of fields is the file's, alphabetical as PEFT writes it.
type adapterConfig struct {
	AlphaPattern  map[string]float64 `json:"alpha_pattern"`
	BaseModel     string             `json:"base_model_name_or_path"`
	Bias          string             `json:"bias"`
	Exclude       json.RawMessage    `json:"exclude_modules,omitempty"`
	FanInFanOut   bool               `json:"fan_in_fan_out"`
	InferenceMode bool               `json:"inference_mode"`
	InitWeights   any                `json:"init_lora_weights"`
	Alpha         float64            `json:"lora_alpha"`
	Dropout       float64            `json:"lora_dropout"`
	ModulesToSave []string           `json:"modules_to_save"`
	PeftType      string             `json:"peft_type"`
	R             int                `json:"r"`
	RankPattern   map[string]int     `json:"rank_pattern"`
	Targets       json.RawMessage    `json:"target_modules"`
	TaskType      string             `json:"task_type"`
	UseDora       bool               `json:"use_dora"`
	UseRslora     bool               `json:"use_rslora"`
}

// refusedFields change the mathematics in ways not implemented, unless they are
// null, false or empty.
var refusedFields = []string{
	"alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "layers_to_transform",
	"lora_bias", "monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora",
	"use_qalora", "velora_config",
}

const (
	adapterConfigFile  = "adapter_config.json"
	adapterWeightsFile = "adapter_model.safetensors"
)

// SaveAdapter writes the low-rank updates as a PEFT adapter directory, with
// base as base_model_name_or_path.
func (m *Model) SaveAdapter(dir, base string) error {
	if m.LoRA == nil {
		return fmt.Errorf("save adapter %s: the model has no low-rank updates", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	tensors := make([]safetensors.Tensor, len(m.params))
	for i, p := range m.params {
		tensors[i] = m.arrayTensor(p.Name, p.Value)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, adapterWeightsFile), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	targets := slices.Clone(m.LoRA.Targets)
	slices.Sort(targets)
	raw, err := json.Marshal(targets)
	if err != nil {
		return err
	}
	ranks, alphas := m.patterns()
	data, err := json.MarshalIndent(adapterConfig{
		AlphaPattern: alphas, RankPattern: ranks, BaseModel: base, Bias: "none",
		InferenceMode: true, InitWeights: true, Alpha: m.LoRA.Alpha, Dropout: m.LoRA.Dropout, PeftType: "LORA",
		R: m.LoRA.R, Targets: raw, TaskType: "CAUSAL_LM", UseRslora: m.LoRA.RSLoRA,
	}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, adapterConfigFile), append(data, '\n'))
}

// patterns are the ranks and alphas of the modules that differ from m.LoRA's.
func (m *Model) patterns() (ranks map[string]int, alphas map[string]float64) {
	ranks, alphas = map[string]int{}, map[string]float64{}
	for name, size := range m.sizes {
		if size.r != m.LoRA.R {
			ranks[name] = size.r
		}
		if size.alpha != m.LoRA.Alpha {
			alphas[name] = size.alpha
		}
	}
	return ranks, alphas
}

// LoadAdapter gives m the low-rank updates of a PEFT adapter directory. What
// the adapter asks for and this package does not do is an error naming it. After
// an error the model is as before.
func (m *Model) LoadAdapter(dir string) error {
	if err := m.loadAdapter(dir); err != nil {
		return fmt.Errorf("read adapter %s: %w", dir, err)
	}
	return nil
}

func (m *Model) loadAdapter(dir string) (err error) {
	c, err := readAdapterConfig(filepath.Join(dir, adapterConfigFile))
	if err != nil {
		return err
	}
	targets, names, err := m.adapterTargets(c)
	if err != nil {
		return err
	}
	f, err := safetensors.Open(filepath.Join(dir, adapterWeightsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sizes, err := c.sizes(targets)
	if err != nil {
		return err
	}
	if err := checkAdapterTensors(f, targets, sizes); err != nil {
		return err
	}
	o := LoRA{R: c.R, Alpha: c.Alpha, Dropout: c.Dropout, Targets: names, RSLoRA: c.UseRslora}
	if err := m.addUpdates(o, targets, sizes); err != nil {
		return err
	}
	if err := m.readUpdates(f); err != nil {
		m.removeUpdates()
		return err
	}
	return nil
}

// readUpdates sets the low-rank matrices to the tensors of their names.
func (m *Model) readUpdates(f *safetensors.File) error {
	for _, p := range m.params {
		shape := p.Value.Shape()
		w, err := readWeight(f, p.Name, shape[0], shape[1])
		if err != nil {
			return err
		}
		values := m.dev.Host(compute.Of(p.Value))
		for i := range w.Out {
			w.Row(values[i*w.In:(i+1)*w.In], i)
		}
	}
	return nil
}

func readAdapterConfig(path string) (*adapterConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := adapterConfig{R: 8, Alpha: 8, Bias: "none"}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	if err := c.refuse(fields); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	return &c, nil
}

// refuse names what the adapter asks for and this package does not do.
func (c *adapterConfig) refuse(fields map[string]json.RawMessage) error {
	var errs []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	no(c.PeftType != "LORA", "peft_type %q: supported is LORA", c.PeftType)
	no(c.Bias != "none" && c.Bias != "", "bias %q is not supported", c.Bias)
	no(c.FanInFanOut, "fan_in_fan_out is not supported")
	no(c.UseDora, "use_dora is not supported")
	no(len(c.ModulesToSave) > 0, "modules_to_save %v is not supported", c.ModulesToSave)
	for _, name := range refusedFields {
		no(!absent(fields[name]), "%s is not supported", name)
	}
	if init, ok := c.InitWeights.(string); ok {
		// These start from a base whose weights were changed; gaussian, orthogonal and eva do not.
		for _, kind := range []string{"pissa", "olora", "loftq", "corda", "lora_ga"} {
			no(strings.HasPrefix(init, kind), "init_lora_weights %q needs the base that its initialization changed", init)
		}
	}
	no(c.R < 1, "r is %d", c.R)
	no(!(c.Dropout >= 0 && c.Dropout < 1), "lora_dropout is %v: want 0 to below 1", c.Dropout)
	return errors.Join(errs...)
}

// adapterTargets are the modules that the adapter changes, and their names for
// SaveAdapter. As in PEFT, a name that fits nothing is no fault as long as
// another fits; the adapter's tensors then show whether a target is missing.
func (m *Model) adapterTargets(c *adapterConfig) (list []module, names []string, err error) {
	chosen, err := moduleSelector("target_modules", c.Targets)
	if err != nil {
		return nil, nil, err
	}
	excluded := func(string) bool { return false }
	if !absent(c.Exclude) {
		if excluded, err = moduleSelector("exclude_modules", c.Exclude); err != nil {
			return nil, nil, err
		}
	}
	for _, mod := range m.modules() {
		if chosen(mod.name) && !excluded(mod.name) {
			list, names = append(list, mod), append(names, mod.name)
		}
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("target_modules %s: no such linear layer in a %s model", c.Targets, m.Config.ModelType)
	}
	var short []string
	if json.Unmarshal(c.Targets, &short) == nil && absent(c.Exclude) {
		names = short
	}
	return list, names, nil
}

// moduleSelector tells which modules a field of an adapter names: by a list of
// paths or ends of them, by a pattern for the whole path, or by "all-linear".
func moduleSelector(field string, raw json.RawMessage) (func(name string) bool, error) {
	var names []string
	if json.Unmarshal(raw, &names) == nil && len(names) > 0 {
		return func(name string) bool {
			return slices.ContainsFunc(names, func(end string) bool { return isTarget(name, end) })
		}, nil
	}
	var pattern string
	if err := json.Unmarshal(raw, &pattern); err != nil || pattern == "" {
		return nil, fmt.Errorf("%s %s: want a list of names or a pattern", field, bytes.TrimSpace(raw))
	}
	if pattern == "all-linear" {
		return func(string) bool { return true }, nil
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return re.MatchString, nil
}

// sizes applies rank_pattern and alpha_pattern, as PEFT's get_pattern_key does:
// a key matches the end of a module's path.
func (c *adapterConfig) sizes(targets []module) (map[string]updateSize, error) {
	sizes := map[string]updateSize{}
	for _, mod := range targets {
		s := updateSize{c.R, c.Alpha}
		if key, err := patternKey(c.RankPattern, mod.name); err != nil {
			return nil, fmt.Errorf("rank_pattern: %w", err)
		} else if key != "" {
			s.r = c.RankPattern[key]
		}
		if key, err := patternKey(c.AlphaPattern, mod.name); err != nil {
			return nil, fmt.Errorf("alpha_pattern: %w", err)
		} else if key != "" {
			s.alpha = c.AlphaPattern[key]
		}
		if s.r < 1 {
			return nil, fmt.Errorf("rank of %s is %d", mod.name, s.r)
		}
		sizes[mod.name] = s
	}
	return sizes, nil
}

// patternKey is the key of patterns that matches name, "" if none does. PEFT
// takes the file's first of several; two that disagree are refused here.
func patternKey[T comparable](patterns map[string]T, name string) (string, error) {
	found := ""
	for _, k := range slices.Sorted(maps.Keys(patterns)) {
		re, err := regexp.Compile(`^(?:.*\.)?(?:` + k + `)$`)
		if err != nil {
			return "", err
		}
		if !re.MatchString(name) {
			continue
		}
		if found != "" && patterns[k] != patterns[found] {
			return "", fmt.Errorf("%q and %q both match %s", found, k, name)
		}
		found = k
	}
	return found, nil
}

// checkAdapterTensors compares the file's tensors with what the targets need.
func checkAdapterTensors(f *safetensors.File, targets []module, sizes map[string]updateSize) error {
	want := map[string][]int{}
	for _, mod := range targets {
		r := sizes[mod.name].r
		want[loraName(mod.name, "A")] = []int{r, mod.part.Weight.In}
		want[loraName(mod.name, "B")] = []int{mod.part.Weight.Out, r}
	}
	for _, name := range f.Names() {
		if want[name] == nil {
			return fmt.Errorf("tensor %s belongs to no target of the adapter", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		info, ok := f.Info(name)
		if !ok {
			return fmt.Errorf("tensor %s is missing", name)
		}
		if !equalShape(info.Shape, want[name]) {
			return fmt.Errorf("tensor %s has shape %v, want %v", name, info.Shape, want[name])
		}
	}
	return nil
}
