package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/quantize"
)

// ConvertOptions say what Convert makes.
type ConvertOptions struct {
	From  string // a Hugging Face directory or a GGUF file
	To    string // hf or gguf
	Out   string // what to write; it must not exist
	Dtype string // f32, f16 or bf16 of all matrices; "" keeps them, and makes f32 of quantized ones
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
	return errors.Join(errs...)
}

// Convert writes the model at o.From with its tokenizer in another layout or
// type. Out appears complete or not at all. It returns what a reader of the
// result should know.
func Convert(o ConvertOptions) (notes []string, err error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if _, err := os.Lstat(o.Out); err == nil {
		return nil, fmt.Errorf("convert: %s exists: it is not overwritten", o.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("convert: %w", err)
	}
	m, err := Open(o.From)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := retype(m, o.Dtype); err != nil {
		return nil, fmt.Errorf("convert %s: %w", o.From, err)
	}
	write := writeDirectory
	if o.To == "gguf" {
		write = writeGGUF
	}
	if notes, err = write(m, o); err != nil {
		return nil, fmt.Errorf("convert %s: %w", o.From, err)
	}
	return notes, nil
}

// retype stores the matrices as dtype says, or dequantizes them.
func retype(m *model.Model, dtype string) error {
	tied := m.Head == m.Embed
	change := func(name string, w **compute.Weight) error {
		f, ok := dtypes[dtype]
		if !ok {
			if f = (*w).Format; f.BlockValues() > 1 {
				f = compute.F32
			}
		}
		if (*w).Format == f {
			return nil
		}
		made, err := plain(*w, f)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		*w = made
		return nil
	}
	if err := change("model.embed_tokens.weight", &m.Embed.Weight); err != nil {
		return err
	}
	if !tied {
		if err := change("lm_head.weight", &m.Head.Weight); err != nil {
			return err
		}
	}
	for name, part := range m.Linears() {
		if err := change(name, &part.Weight); err != nil {
			return err
		}
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
func writeGGUF(m *model.Model, o ConvertOptions) ([]string, error) {
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
	s, err := quantize.WriteGGUF(o.Out, m, vocab, quantize.Options{Type: format.String(), Name: filepath.Base(o.From)})
	return s.Notes, err
}

// writeDirectory writes a directory beside Out and renames it.
func writeDirectory(m *model.Model, o ConvertOptions) (notes []string, err error) {
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
