// Package checkpoint opens, describes and converts models as they lie on disk:
// Hugging Face directories and GGUF files.
package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// Open reads the model at path, a Hugging Face directory or a GGUF file. It
// computes with as many threads as Go may use.
func Open(path string) (*model.Model, error) {
	isGGUF, err := isModel(path)
	if err != nil {
		return nil, err
	}
	if isGGUF {
		return model.LoadGGUF(cpu.New(0), path)
	}
	return model.Load(cpu.New(0), path)
}

// Tokenizer reads the tokenizer at path: a directory, a tokenizer.json whatever
// its name, or a GGUF file. One that is not there is an error that is
// fs.ErrNotExist.
func Tokenizer(path string) (*tokenizer.Tokenizer, error) {
	isGGUF, err := IsGGUF(path)
	if err != nil {
		return nil, err
	}
	if !isGGUF {
		return tokenizer.Load(path)
	}
	if has, err := hasVocab(path); err != nil {
		return nil, err
	} else if !has {
		return nil, &fs.PathError{Op: "read vocabulary of", Path: path, Err: fs.ErrNotExist}
	}
	vocab, err := model.Vocab(path)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.FromGGUF(vocab)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// IsGGUF tells whether path is a GGUF file, by how it begins.
func IsGGUF(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return false, nil
	}
	if !info.Mode().IsRegular() {
		return false, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(magic[:]) == "GGUF", nil
}

// isModel tells whether the model at path is a GGUF file, and refuses any other
// file: it is no directory.
func isModel(path string) (isGGUF bool, err error) {
	if isGGUF, err = IsGGUF(path); isGGUF || err != nil {
		return isGGUF, err
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return false, err
	}
	return false, fmt.Errorf("%s is neither a directory nor a GGUF file", path)
}

// hasVocab tells whether a GGUF file has a vocabulary: some hold weights alone.
func hasVocab(path string) (bool, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return false, err
	}
	kind, ok, err := gguf.Get[string](f.Metadata(), "tokenizer.ggml.model")
	return ok && kind != "no_vocab", errors.Join(err, f.Close())
}
