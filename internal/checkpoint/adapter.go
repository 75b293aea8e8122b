package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/quantize"
)

// adapterConfig is the file that makes a directory a PEFT adapter.
const adapterConfig = "adapter_config.json"

// validateAdapter reports what does not go with an adapter at From.
func (o ConvertOptions) validateAdapter() error {
	var errs []error
	if o.Adapter != "" {
		errs = append(errs, errors.New("base and adapter: base is of an adapter to be converted, adapter is one to be merged: want one of them"))
	}
	if o.To == "hf" {
		errs = append(errs, errors.New("to: an adapter is hf already: convert its model with adapter to merge it"))
	}
	if o.Dtype == "bf16" {
		errs = append(errs, errors.New("dtype: bf16: an adapter's is f32 or f16"))
	}
	return errors.Join(errs...)
}

// convertAdapter writes the PEFT adapter at o.From as a GGUF adapter, which
// llama.cpp adds to a file made of the model at o.Base.
func convertAdapter(o ConvertOptions) (err error) {
	if !has(o.From, adapterConfig) {
		return fmt.Errorf("convert: %s: with a base it must be an adapter, and it has no %s", o.From, adapterConfig)
	}
	m, err := Open(o.Base)
	if err != nil {
		return fmt.Errorf("convert: base: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.LoadAdapter(o.From); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	if err := quantize.WriteAdapter(o.Out, m, dtypes[o.Dtype]); err != nil { // F32 is the zero format
		return fmt.Errorf("convert %s: %w", o.From, err)
	}
	return nil
}

// refuseAdapter is an error for an adapter that is given as a model.
func refuseAdapter(path string) error {
	if !has(path, adapterConfig) || has(path, "config.json") {
		return nil
	}
	return fmt.Errorf("%s makes it an adapter: name the model that it belongs to (base)", adapterConfig)
}

// has tells whether a directory has a file.
func has(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
