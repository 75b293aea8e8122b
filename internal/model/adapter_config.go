package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	adapterConfigFile  = "adapter_config.json"
	adapterWeightsFile = "adapter_model.safetensors"
)

// adapterConfig is adapter_config.json as PEFT 0.16 writes it; the order of
// fields is the file's, alphabetical. Those of type any are always null here.
type adapterConfig struct {
	AlphaPattern     patterns[float64] `json:"alpha_pattern"`
	AutoMapping      any               `json:"auto_mapping"`
	BaseModel        string            `json:"base_model_name_or_path"`
	Bias             string            `json:"bias"`
	Corda            any               `json:"corda_config"`
	Eva              any               `json:"eva_config"`
	Exclude          nameList          `json:"exclude_modules"`
	FanInFanOut      bool              `json:"fan_in_fan_out"`
	InferenceMode    bool              `json:"inference_mode"`
	InitWeights      any               `json:"init_lora_weights"`
	LayerReplication any               `json:"layer_replication"`
	LayersPattern    nameList          `json:"layers_pattern"`
	Layers           numberList        `json:"layers_to_transform"`
	Loftq            struct{}          `json:"loftq_config"`
	Alpha            float64           `json:"lora_alpha"`
	LoRABias         bool              `json:"lora_bias"`
	Dropout          pyFloat           `json:"lora_dropout"`
	MegatronConfig   any               `json:"megatron_config"`
	MegatronCore     string            `json:"megatron_core"`
	ModulesToSave    []string          `json:"modules_to_save"`
	PeftType         string            `json:"peft_type"`
	QaloraGroup      int               `json:"qalora_group_size"`
	R                int               `json:"r"`
	RankPattern      patterns[int]     `json:"rank_pattern"`
	Revision         any               `json:"revision"`
	Targets          nameList          `json:"target_modules"`
	TaskType         string            `json:"task_type"`
	TrainableTokens  any               `json:"trainable_token_indices"`
	UseDora          bool              `json:"use_dora"`
	UseQalora        bool              `json:"use_qalora"`
	UseRslora        bool              `json:"use_rslora"`
}

// nameList is a list of names, or one text, which is a pattern or a name.
type nameList struct {
	names []string
	text  string
}

func (l *nameList) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &l.names); err == nil {
		return nil
	}
	if err := json.Unmarshal(data, &l.text); err != nil {
		return fmt.Errorf("%s: want a list of names or a pattern", data)
	}
	return nil
}

func (l nameList) MarshalJSON() ([]byte, error) {
	if l.text != "" {
		return json.Marshal(l.text)
	}
	return json.Marshal(l.names)
}

// numberList is a list of numbers, or one.
type numberList []int

func (l *numberList) UnmarshalJSON(data []byte) error {
	var one int
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(data, &one); err == nil {
		*l = numberList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(l))
}

// pyFloat is a number that Python writes as a float, 0.0.
type pyFloat float64

func (f pyFloat) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(f), 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return []byte(text), nil
}

func (p patterns[T]) MarshalJSON() ([]byte, error) { return json.Marshal(p.values()) }

// newAdapterConfig is the file for updates made as o says.
func newAdapterConfig(o *LoRA, base string) adapterConfig {
	c := adapterConfig{
		AlphaPattern: sorted(o.AlphaPattern), RankPattern: sorted(o.RankPattern), BaseModel: base, Bias: o.Bias,
		Exclude: nameList{o.Exclude, o.ExcludePattern}, InferenceMode: true, InitWeights: true,
		Layers: o.Layers, LayersPattern: nameList{names: o.LayersPattern}, Alpha: o.Alpha, Dropout: pyFloat(o.Dropout),
		MegatronCore: "megatron.core", ModulesToSave: o.ModulesToSave, PeftType: "LORA", QaloraGroup: 16, R: o.R,
		Targets: nameList{slices.Sorted(slices.Values(o.Targets)), o.TargetPattern}, TaskType: "CAUSAL_LM",
		UseDora: o.DoRA, UseRslora: o.RSLoRA, LoRABias: o.LoRABias,
	}
	if c.Bias == "" {
		c.Bias = biasNone
	}
	switch o.Init {
	case "", "true":
	case "false":
		c.InitWeights = false
	default:
		c.InitWeights = o.Init
	}
	return c
}

// options is what the file says, for a model.
func (c *adapterConfig) options() LoRA {
	o := LoRA{R: c.R, Alpha: c.Alpha, Dropout: float64(c.Dropout), LoRABias: c.LoRABias, Bias: c.Bias, RSLoRA: c.UseRslora, DoRA: c.UseDora,
		Targets: c.Targets.names, TargetPattern: c.Targets.text, Exclude: c.Exclude.names, ExcludePattern: c.Exclude.text,
		Layers: c.Layers, LayersPattern: c.LayersPattern.names, ModulesToSave: c.ModulesToSave,
		RankPattern: c.RankPattern.values(), AlphaPattern: c.AlphaPattern.values()}
	if c.LayersPattern.text != "" {
		o.LayersPattern = []string{c.LayersPattern.text}
	}
	if strings.EqualFold(o.TargetPattern, allLinear) {
		o.Targets, o.TargetPattern = []string{allLinear}, ""
	}
	switch init := c.InitWeights.(type) {
	case string:
		o.Init = init
	case bool:
		o.Init = strconv.FormatBool(init)
	}
	return o
}

func readAdapterConfig(path string) (*adapterConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseAdapterConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	return c, nil
}

// parseAdapterConfig reads an adapter_config.json of any version of PEFT.
func parseAdapterConfig(data []byte) (*adapterConfig, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for name := range fields { // checked by refuse; their values may be of any type
		if slices.Contains(ignoredFields, name) || slices.Contains(refusedFields, name) {
			delete(fields, name)
		}
	}
	known, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	c := adapterConfig{R: 8, Alpha: 8, Bias: "none"}
	if err := json.Unmarshal(known, &c); err != nil {
		return nil, err
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	return &c, c.refuse(whole)
}

// ignoredFields change nothing of what an adapter computes.
var ignoredFields = []string{"auto_mapping", "base_model_name_or_path", "corda_config", "eva_config", "lora_ga_config",
	"loftq_config", "megatron_config", "megatron_core", "qalora_group_size", "revision", "task_type", "inference_mode"}

// refusedFields change the mathematics in ways not implemented, unless they are
// null, false or empty.
var refusedFields = []string{
	"alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication",
	"monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora",
	"use_qalora", "velora_config",
}

// changedBase are initializations that change the base's weights; gaussian,
// orthogonal and eva do not.
var changedBase = []string{"pissa", "olora", "loftq", "corda", "lora_ga"}

// refuse names what the adapter asks for and this package does not do.
func (c *adapterConfig) refuse(fields map[string]json.RawMessage) error {
	var errs []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	no(c.PeftType != "LORA", "peft_type %q: supported is LORA", c.PeftType)
	no(!slices.Contains([]string{"", biasNone, biasOfUpdates, biasAll}, c.Bias), "bias %q: want %s, %s or %s", c.Bias, biasNone, biasOfUpdates, biasAll)
	no(c.LoRABias && c.UseDora, "lora_bias: PEFT has none with use_dora")
	no(c.FanInFanOut, "fan_in_fan_out is not supported: the layers of these models store (out, in)")
	for _, name := range refusedFields {
		no(!absent(fields[name]), "%s is not supported", name)
	}
	if init, ok := c.InitWeights.(string); ok {
		no(c.LoRABias, "lora_bias: PEFT has none with init_lora_weights %q", init)
		for _, kind := range changedBase {
			no(strings.HasPrefix(init, kind), "init_lora_weights %q needs the base that its initialization changed: "+
				"convert the adapter to plain LoRA first (save_pretrained with path_initial_model_for_weight_conversion)", init)
		}
	}
	no(c.R < 1, "r is %d", c.R)
	no(!(c.Dropout >= 0 && c.Dropout < 1), "lora_dropout is %v: want 0 to below 1", float64(c.Dropout))
	no(len(c.Targets.names) == 0 && c.Targets.text == "", "target_modules %s: want a list of names or a pattern", fields["target_modules"])
	return errors.Join(errs...)
}
