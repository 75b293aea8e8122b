package train

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

const checkpointFile = "checkpoint.safetensors"

// cursor is what a checkpoint says besides arrays. Batches and dropout follow
// from their seeds, the epoch and the batch, so no stream has a state to save.
type cursor struct {
	Identity string  `json:"identity"`
	Options  Options `json:"options"`
	Steps    int     `json:"steps"`
	Step     int     `json:"step"`
	Epoch    int     `json:"epoch"`
	Batch    int     `json:"batch"`
	Summary  Summary `json:"summary"`
}

// save writes a checkpoint, in place of the one before.
func (s *state) save() error {
	if s.Checkpoint == "" || s.step == 0 {
		return nil
	}
	if err := os.MkdirAll(s.Checkpoint, 0o777); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	c, err := json.Marshal(cursor{s.Identity, s.o, s.steps, s.step, s.epoch, s.batch, s.summary})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	var tensors []safetensors.Tensor
	for name, values := range s.arrays() {
		tensors = append(tensors, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: []int{len(values)},
			Data: safetensors.FloatBytes(values)})
	}
	path := filepath.Join(s.Checkpoint, checkpointFile)
	if err := safetensors.WriteFile(path, tensors, map[string]string{"cursor": string(c)}); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// arrays are the values that a checkpoint holds, by name.
func (s *state) arrays() map[string][]float32 {
	host := func(a *tensor.Dense) []float32 { return s.Student.Device().Host(compute.Of(a)) }
	all := map[string][]float32{}
	for i, p := range s.params {
		all["value."+p.Name] = host(p.Value)
		all["m."+p.Name] = host(s.moments[i].m)
		all["v."+p.Name] = host(s.moments[i].v)
		if s.best != nil {
			all["best."+p.Name] = s.best[i]
		}
	}
	return all
}

// load takes up the checkpoint, if there is one.
func (s *state) load() (err error) {
	if s.Checkpoint == "" {
		return nil
	}
	path := filepath.Join(s.Checkpoint, checkpointFile)
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var c cursor
	if err := json.Unmarshal([]byte(f.Metadata()["cursor"]), &c); err != nil {
		return fmt.Errorf("read checkpoint %s: cursor: %w", path, err)
	}
	// They change nothing of what is computed.
	c.Options.CheckpointEvery, c.Options.Memory = s.o.CheckpointEvery, s.o.Memory
	if c.Identity != s.Identity || c.Options != s.o || c.Steps != s.steps {
		return fmt.Errorf("read checkpoint %s: it is of another run (%s, %d steps); remove it to start anew", path, c.Identity, c.Steps)
	}
	s.step, s.epoch, s.batch, s.summary = c.Step, c.Epoch, c.Batch, c.Summary
	if len(c.Summary.Curve) > 0 && s.o.Keep == "best" {
		s.remember() // makes room for the values read below
	}
	for name, values := range s.arrays() {
		if err := readArray(f, name, values); err != nil {
			return fmt.Errorf("read checkpoint %s: %w", path, err)
		}
	}
	return nil
}

// readArray fills values from the tensor name.
func readArray(f *safetensors.File, name string, values []float32) error {
	info, ok := f.Info(name)
	if !ok || info.Dtype != safetensors.F32 {
		return fmt.Errorf("tensor %s is missing or not F32", name)
	}
	data, err := f.Bytes(name)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", name, err)
	}
	if len(data) != 4*len(values) {
		return fmt.Errorf("tensor %s has %d bytes, want %d", name, len(data), 4*len(values))
	}
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}
