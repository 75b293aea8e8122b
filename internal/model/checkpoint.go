package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
)

// scheme is how the quantized modules of a checkpoint are stored. Which modules
// those are, the tensors tell: lists of skipped ones in the configuration are
// not needed.
//
// Weights alone are read. Where a scheme also rounds activations at run time
// (LLM.int8, W8A8, FP8), the model computes with activations as they are.
type scheme interface {
	// marks are suffixes of which every quantized module has exactly one, and no
	// other module any.
	marks() []string
	// suffixes are what other tensors of a quantized module may end in.
	suffixes() []string
	// matrix describes the weight of a quantized module.
	matrix(f tensorFile, module string, out, in int) (storedMatrix, error)
}

// storedMatrix is a matrix in a checkpoint's own layout, checked and not yet read.
type storedMatrix interface {
	// format is that of the Weight, which holds the values without loss.
	format() compute.Format
	weight() (*compute.Weight, error)
}

// quantizationFile has what tells the methods apart in quantization_config, or
// in the files that stood for it before transformers had that field.
type quantizationFile struct {
	Method string `json:"quant_method"`
}

// formerFiles are the names of those files, with the methods they were for.
var formerFiles = [][2]string{{"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}}

// maxConfigBytes bounds the size of configuration files.
const maxConfigBytes = 16 << 20

// loadScheme returns how the quantized modules of a directory are stored, and
// nil if its configuration speaks of none.
func loadScheme(dir string) (scheme, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readConfigFile(path)
	if err != nil {
		return nil, err
	}
	var config struct {
		Quantization json.RawMessage `json:"quantization_config"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if !absent(config.Quantization) {
		s, err := parseScheme(config.Quantization, "")
		if err != nil {
			return nil, fmt.Errorf("read %s: quantization_config: %w", path, err)
		}
		return s, nil
	}
	for _, former := range formerFiles {
		path := filepath.Join(dir, former[0])
		data, err := readConfigFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s, err := parseScheme(data, former[1])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return s, nil
	}
	return nil, nil
}

func readConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfigBytes {
		return nil, fmt.Errorf("read %s: not a regular file of at most %d bytes", path, maxConfigBytes)
	}
	return os.ReadFile(path)
}

// parseScheme reads a quantization_config; method is the one if it names none.
// A method or setting that is not implemented is an error that names it.
func parseScheme(raw []byte, method string) (scheme, error) {
	var f quantizationFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Method != "" {
		method = f.Method
	}
	switch method {
	case "bitsandbytes":
		return parseBitsAndBytes(raw)
	case "gptq":
		return parseGPTQ(raw)
	case "awq":
		return parseAWQ(raw)
	case "compressed-tensors":
		return parseCompressed(raw)
	case "fp8":
		return parseFP8(raw)
	default:
		return nil, fmt.Errorf("quant_method %q: supported are bitsandbytes, gptq, awq, compressed-tensors and fp8", method)
	}
}

// markOf returns the mark that a module has, or "".
func markOf(s scheme, f tensorFile, module string) string {
	for _, mark := range s.marks() {
		if _, ok := f.Info(module + mark); ok {
			return mark
		}
	}
	return ""
}

// plainNames are the names of a checkpoint with those of every quantized
// module's tensors replaced by that of its weight: what an unquantized
// checkpoint has. Names that are no part of the scheme remain.
func plainNames(s scheme, f tensorFile) ([]string, error) {
	quantized := map[string]bool{}
	for _, name := range f.Names() {
		for _, mark := range s.marks() {
			if module, ok := strings.CutSuffix(name, mark); ok {
				quantized[module] = true
			}
		}
	}
	all := slices.Concat(s.marks(), s.suffixes())
	var names []string
	for _, name := range f.Names() {
		stored := slices.ContainsFunc(all, func(suffix string) bool {
			module, ok := strings.CutSuffix(name, suffix)
			return ok && quantized[module]
		})
		module, bias := strings.CutSuffix(name, ".bias")
		if bias && quantized[module] {
			zero, err := allZero(f, name)
			if err != nil {
				return nil, err
			}
			stored = zero // quantizers write biases for layers that have none
		}
		if !stored {
			names = append(names, name)
		}
	}
	for module := range quantized {
		names = append(names, module+".weight")
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func allZero(f tensorFile, name string) (bool, error) {
	data, err := f.Bytes(name)
	return !slices.ContainsFunc(data, func(b byte) bool { return b != 0 }), err
}
