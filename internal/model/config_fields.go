package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fields are those of a config.json. They note which were read: what is left
// over might change what the model computes.
type fields struct {
	raw  map[string]json.RawMessage
	read map[string]bool
	errs []error
}

func parseFields(data []byte) (*fields, error) {
	f := &fields{read: map[string]bool{}}
	if err := json.Unmarshal(data, &f.raw); err != nil {
		return nil, err
	}
	return f, nil
}

// bad notes a fault.
func (f *fields) bad(format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf(format, args...))
}

// has tells whether the file has the field, also as null.
func (f *fields) has(name string) bool { return f.raw[name] != nil }

// set tells whether the field has a value, not null.
func (f *fields) set(name string) bool {
	return f.has(name) && strings.TrimSpace(string(f.raw[name])) != "null"
}

// take returns the text of a field and notes that it was read.
func (f *fields) take(name string) json.RawMessage {
	f.read[name] = true
	return f.raw[name]
}

// field returns a field's value, or otherwise if it is missing or null.
func field[T any](f *fields, name string, otherwise T) T {
	raw := f.take(name)
	if !f.set(name) {
		return otherwise
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		f.bad("%s %s: %w", name, raw, err)
		return otherwise
	}
	return v
}

// missingOr returns a field's value, otherwise if it is missing, and null's
// value if it is null: transformers has defaults for what a file does not say.
func missingOr[T any](f *fields, name string, otherwise, null T) T {
	if f.has(name) {
		otherwise = null
	}
	return field(f, name, otherwise)
}

// err refuses the fields that nobody has read, unless they are harmless or
// say nothing, and returns all faults.
func (f *fields) err(modelType string) error {
	for _, name := range slices.Sorted(maps.Keys(f.raw)) {
		if f.read[name] || harmlessFields[name] || saysNothing(f.raw[name]) {
			continue
		}
		text := strings.Join(strings.Fields(string(f.raw[name])), " ")
		if len(text) > 60 {
			text = text[:60] + "…"
		}
		f.bad("%s %s is not supported in a %s model", name, text, modelType)
	}
	return errors.Join(f.errs...)
}

// saysNothing tells whether a value is how fields are written that are off.
func saysNothing(raw json.RawMessage) bool {
	if absent(raw) {
		return true
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	return v == 0.0 || v == ""
}

func absent(raw json.RawMessage) bool {
	s := strings.Join(strings.Fields(string(raw)), "")
	return s == "" || s == "null" || s == "{}" || s == "[]" || s == "false"
}

// harmlessFields do not change what a causal language model computes: names
// and versions, how transformers runs it, labels of heads that it does not
// have, and defaults for generating.
var harmlessFields = setOf(
	"_name_or_path", "_commit_hash", "name_or_path", "transformers_version", "architectures", "auto_map", "model_type",
	"torch_dtype", "dtype", "use_cache", "is_decoder", "output_attentions", "output_hidden_states", "return_dict",
	"return_dict_in_generate", "output_scores", "torchscript", "use_bfloat16", "gradient_checkpointing",
	"_attn_implementation", "_attn_implementation_internal", "_attn_implementation_autoset", "attn_implementation",
	"_flash_attn_2_enabled", "use_flash_attn", "_experts_implementation", "cache_implementation", "pretraining_tp",
	"low_cpu_mem_usage", "transformers.js_config", "_sliding_window_pattern", "model_max_length", "max_sequence_length",
	"id2label", "label2id", "num_labels", "finetuning_task", "problem_type", "task_specific_params", "tokenizer_class",
	"prefix", "decoder_start_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id", "chat_template",
	"max_length", "max_new_tokens", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
	"diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
	"no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "remove_invalid_values",
	"exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id",
	"is_llama_config", "unsloth_fixed", "unsloth_version", "unsloth_tokenized", "tf_legacy_loss",
	"embd_pdrop", "full_attn_mod", "interpolate_factor", // of Phi-3 and Phi-4 mini, read by nobody
)

func setOf(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set
}
