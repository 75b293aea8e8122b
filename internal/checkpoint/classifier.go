package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
)

// refuseClassifier refuses to convert a classifier by what it is: as a model that
// predicts the next token its type would be called unknown.
func refuseClassifier(path string) error {
	is, err := new(Description).classifier(path)
	if is && err == nil {
		err = fmt.Errorf("%s is a classifier: models that predict the next token are converted", path)
	}
	return err
}

// classifier describes a classifier, if the model is one.
func (d *Description) classifier(path string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		return false, nil // a GGUF file, or what reading the model says more of
	}
	var config struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return false, fmt.Errorf("%s: config.json: %w", path, err)
	}
	if !model.IsEncoder(config.ModelType) {
		return false, nil
	}
	c, err := model.LoadClassifierConfig(path)
	if err != nil {
		return true, err
	}
	m, err := model.ClassifierOutline(c, compute.F32)
	if err != nil {
		return true, fmt.Errorf("%s: %w", path, err)
	}
	d.Architecture, d.Context, d.Layers, d.Width, d.Vocabulary = c.ModelType, c.MaxPositionEmbeddings, c.NumHiddenLayers, c.HiddenSize, c.VocabSize
	d.Classes, d.Parameters = c.Labels, int64(m.Parameters())
	return true, d.encoderTensors(path)
}

// encoderTensors tells matrices from vectors by the file's shapes; the linear
// layers are those outside the embeddings.
func (d *Description) encoderTensors(dir string) (err error) {
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d.Tuning = Tuning{LoRATargets: []string{}, Full: true, Bases: []string{}}
	var matrices []*compute.Weight
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		module, isWeight := strings.CutSuffix(name, ".weight")
		if !isWeight || len(info.Shape) != 2 {
			continue
		}
		matrices = append(matrices, compute.Outline(compute.F32, info.Shape[0], info.Shape[1]))
		target := module[strings.LastIndexByte(module, '.')+1:]
		if !strings.Contains(module, "embeddings.") && !slices.Contains(d.Tuning.LoRATargets, target) {
			d.Tuning.LoRATargets = append(d.Tuning.LoRATargets, target)
		}
	}
	d.Memory = memory(d.Parameters, matrices)
	return nil
}
