package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/quantize"
)

// ConvertOptions say what Convert makes.
type ConvertOptions struct {
	From    string // a Hugging Face directory or a GGUF file, or with Base a PEFT adapter directory
	To      string // hf or gguf
	Out     string // what to write; it must not exist
	Dtype   string // f32, f16 or bf16 of all matrices; "" keeps them, and makes f32 of quantized ones
	Adapter string // a PEFT adapter directory, merged into the model first; "" is none
	Base    string // the model whose adapter From is; "" is none
}

// dtypes are the formats that Convert writes.
var dtypes = map[string]compute.Format{"f32": compute.F32, "f16": compute.F16, "bf16": compute.BF16}

// Validate reports every field that is out of range.
func (o ConvertOptions) Validate() error {
	var errs []error
	if o.To != "hf" && o.To != "gguf" {
		errs = append(errs, fmt.Errorf("to: %q: want hf or gguf", o.To))
	}
	if _, ok := dtypes[o.Dtype]; !ok && o.Dtype != "" {
		errs = append(errs, fmt.Errorf("dtype: %q: want f32, f16 or bf16", o.Dtype))
	}
	if o.Base != "" {
		errs = append(errs, o.validateAdapter())
	}
	return errors.Join(errs...)
}

// Convert writes the model at o.From with its tokenizer in another layout or
// type. Out appears complete or not at all; when ctx ends before it is written,
// not at all. It returns what a reader of the result should know.
func Convert(ctx context.Context, o ConvertOptions) (notes []string, err error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if _, err := os.Lstat(o.Out); err == nil {
		return nil, fmt.Errorf("convert: %s exists: it is not overwritten", o.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if o.Base != "" {
		return nil, convertAdapter(o)
	}
	if err := refuseAdapter(o.From); err != nil {
		return nil, fmt.Errorf("convert %s: %w", o.From, err)
	}
	if err := refuseClassifier(o.From); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	m, err := Open(o.From)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	formats := plainFormats(m, o.Dtype)
	if o.Adapter != "" {
		if err := m.LoadAdapter(o.Adapter); err != nil {
			return nil, fmt.Errorf("convert: %w", err)
		}
		m.Merge()
	}
	if err := retype(ctx, m, formats); err != nil {
		return nil, fmt.Errorf("convert %s: %w", o.From, err)
	}
	write := writeDirectory
	if o.To == "gguf" {
		write = writeGGUF
	}
	if notes, err = write(ctx, m, o); err != nil {
		return nil, fmt.Errorf("convert %s: %w", o.From, err)
	}
	return notes, nil
}

// plainFormats are the formats that the matrices of m are to be written in, by
// name: what dtype says, or their own, which those in blocks have not. A head
// that is tied to the embedding has its.
func plainFormats(m *model.Model, dtype string) func(name string) compute.Format {
	if f, ok := dtypes[dtype]; ok {
		return func(string) compute.Format { return f }
	}
	formats := map[string]compute.Format{}
	for name, w := range matrices(m) {
		if formats[name] = (*w).Format; (*w).Format.BlockValues() > 1 {
			formats[name] = compute.F32
		}
	}
	return func(name string) compute.Format { return formats[name] }
}

// matrices are all of m by the names that errors give them.
func matrices(m *model.Model) iter.Seq2[string, **compute.Weight] {
	return func(yield func(string, **compute.Weight) bool) {
		if !yield("model.embed_tokens.weight", &m.Embed.Weight) || !yield("lm_head.weight", &m.Head.Weight) {
			return
		}
		for name, part := range m.Linears() {
			if !yield(name, &part.Weight) {
				return
			}
		}
	}
}

// retype stores the matrices in the formats of their names.
func retype(ctx context.Context, m *model.Model, formats func(name string) compute.Format) error {
	for name, w := range matrices(m) {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := formats(name)
		if (*w).Format == f {
			continue // a tied head is done already
		}
		made, err := plain(*w, f)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		*w = made
	}
	return nil
}

// plain is w with every value stored by itself.
func plain(w *compute.Weight, f compute.Format) (*compute.Weight, error) {
	size := f.RowBytes(w.In)
	data, row := make([]byte, w.Out*size), make([]float32, w.In)
	for i := range w.Out {
		w.Row(row, i)
		if err := quantize.Encode(f, data[i*size:(i+1)*size], row); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
	}
	return compute.NewWeight(f, w.Out, w.In, data)
}

// writeGGUF writes a file whose matrices are stored as the model's, or the
// widest of those.
func writeGGUF(ctx context.Context, m *model.Model, o ConvertOptions) ([]string, error) {
	t, err := Tokenizer(o.From)
	if err != nil {
		return nil, err
	}
	vocab, err := t.GGUF()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	format := m.Embed.Weight.Format
	for _, part := range m.Linears() {
		if part.Weight.Format != format {
			format = compute.F32
		}
	}
	options := quantize.Options{Type: format.String(), Name: filepath.Base(o.From)}
	var notes []string
	if tokenizer.NamedPhi3(options.Name) && !vocab.Phi3 {
		notes = append(notes, fmt.Sprintf("the file's general.name is retort: llama.cpp would tokenize otherwise for %s", options.Name))
		options.Name = ""
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := quantize.WriteGGUF(o.Out, m, vocab, options)
	return append(notes, s.Notes...), err
}

// writeDirectory writes a directory beside Out and renames it.
func writeDirectory(ctx context.Context, m *model.Model, o ConvertOptions) (notes []string, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(o.Out), atomicfile.TempPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // what is left if the renaming did not happen
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if err := m.Save(dir); err != nil {
		return nil, err
	}
	if notes, err = tokenizerFiles(o.From, dir); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return notes, atomicfile.RenameDir(dir, o.Out)
}

// besides are the files that a directory may have beside its configuration and
// weights, and that say nothing of how the weights are stored.
var besides = []string{
	"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "chat_template.jinja", "chat_template.json", "LICENSE",
}

// tokenizerFiles puts the tokenizer of the model at from, and what else belongs
// to it, into dir.
func tokenizerFiles(from, dir string) (notes []string, err error) {
	isGGUF, err := IsGGUF(from)
	if err != nil {
		return nil, err
	}
	if isGGUF {
		t, err := Tokenizer(from)
		if errors.Is(err, fs.ErrNotExist) {
			return []string{"the file has no vocabulary: the directory has no tokenizer"}, nil
		}
		if err != nil {
			return nil, err
		}
		return nil, t.Write(dir)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.Contains(besides, e.Name()) {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
