package distill

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	descriptionFile     = "answers.json"
	descriptionFormat   = 3
	maxDescriptionBytes = 1 << 20
)

// fileSum identifies a file of the artifact.
type fileSum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// description is answers.json.
type description struct {
	Format int `json:"format"` // 3
	Info
	Counts Counts             `json:"counts"`
	Files  map[string]fileSum `json:"files"`
}

func readDescription(path string) (description, error) {
	var d description
	fail := func(err error) (description, error) { return d, fmt.Errorf("read %s: %w", path, err) }
	f, err := os.Open(path)
	if err != nil {
		return d, err // it names the file
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDescriptionBytes+1))
	if err != nil {
		return d, err
	}
	if len(text) > maxDescriptionBytes {
		return fail(fmt.Errorf("more than %d bytes", maxDescriptionBytes))
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return fail(err)
	}
	if in.More() {
		return fail(errors.New("something follows the JSON object"))
	}
	if d.Format != descriptionFormat {
		return fail(fmt.Errorf("format %d, want %d", d.Format, descriptionFormat))
	}
	if d.Counts.Answers < 0 || d.Counts.AnswerTokens < 0 {
		return fail(fmt.Errorf("%d answers of %d tokens", d.Counts.Answers, d.Counts.AnswerTokens))
	}
	if err := d.Info.check(); err != nil {
		return fail(err)
	}
	return d, nil
}

// check tells what is wrong with what the alternatives are to be.
func (i *Info) check() error {
	if i.TopK < 0 || i.TopK > maxTopK || i.Vocabulary < 0 || i.Vocabulary > maxTopK {
		return fmt.Errorf("%d alternatives of a vocabulary of %d: want numbers from 0 to %d", i.TopK, i.Vocabulary, maxTopK)
	}
	return nil
}

func sumFile(path string) (fileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileSum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fileSum{}, fmt.Errorf("read %s: %w", path, err)
	}
	return fileSum{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// checkFile tells whether the file is the one that want describes.
func checkFile(path string, want fileSum) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if want.SHA256 == "" {
		return fmt.Errorf("read %s: %s does not list it", path, descriptionFile)
	}
	if info.Size() != want.Bytes {
		return fmt.Errorf("read %s: %d bytes, and %s says %d: it is damaged", path, info.Size(), descriptionFile, want.Bytes)
	}
	have, err := sumFile(path)
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("read %s: SHA-256 %s, and %s says %s: it is damaged", path, have.SHA256, descriptionFile, want.SHA256)
	}
	return nil
}
