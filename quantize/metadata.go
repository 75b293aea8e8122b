package quantize

import (
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
)

// fileTypes are llama.cpp's numbers of a file whose matrices are mostly of a
// format (general.file_type).
var fileTypes = map[compute.Format]uint32{compute.F32: 0, compute.F16: 1, compute.Q4_0: 2, compute.Q8_0: 7, compute.BF16: 32}

// quantizationVersion is of the block layouts, ggml's GGML_QNT_VERSION.
const quantizationVersion = uint32(2)

// generalMetadata are the keys that every architecture has, and our own.
func generalMetadata(arch string, o Options, target compute.Format, p *plan) []gguf.KV {
	meta := []gguf.KV{
		{Key: "general.architecture", Value: arch},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: o.Name},
		{Key: "general.file_type", Value: fileTypes[target]},
		{Key: "general.quantized_by", Value: "retort"},
	}
	text := func(key, value string) {
		if value != "" {
			meta = append(meta, gguf.KV{Key: key, Value: value})
		}
	}
	if p.quantized() {
		meta = append(meta, gguf.KV{Key: "general.quantization_version", Value: quantizationVersion})
	}
	text("general.license", o.License)
	if b := o.BaseModel; b.Name != "" {
		meta = append(meta, gguf.KV{Key: "general.base_model.count", Value: uint32(1)})
		text("general.base_model.0.name", b.Name)
		text("general.base_model.0.organization", b.Organization)
		text("general.base_model.0.version", b.Version)
		text("general.base_model.0.repo_url", b.RepoURL)
	}
	text("retort.source", o.Source)
	meta = append(meta, gguf.KV{Key: "retort.quantize.type", Value: o.Type}, gguf.KV{Key: "retort.quantize.pure", Value: o.Pure})
	if len(p.notes) > 0 {
		meta = append(meta, gguf.KV{Key: "retort.quantize.notes", Value: p.notes})
	}
	return meta
}
