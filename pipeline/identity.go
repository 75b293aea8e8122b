package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// formatVersion is raised when the layout of an artifact or the making of an
// id changes; artifacts of another version are never reused.
const formatVersion = 1

// description is all that can change what a stage makes. Its JSON is hashed
// into the artifact's id.
type description struct {
	Format  int             `json:"format"`
	Kind    string          `json:"kind"`
	Version string          `json:"version"`
	Options json.RawMessage `json:"options"` // canonical JSON
	Inputs  []string        `json:"inputs"`  // artifact ids, in the stage's order
	Files   []OutsideFile   `json:"files"`
}

// id returns the artifact's id: 64 hex digits.
func (d description) id() (string, error) {
	if d.Inputs == nil {
		d.Inputs = []string{}
	}
	if d.Files == nil {
		d.Files = []OutsideFile{}
	}
	data, err := canonicalJSON(d)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// canonicalJSON marshals v with the keys of every object sorted, so that
// moving the fields of a struct around does not change an id. Numbers keep the
// digits encoding/json gives them.
func canonicalJSON(v any) ([]byte, error) {
	data, err := marshalPlain(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return marshalPlain(tree)
}

// marshalPlain is json.Marshal without the escaping meant for HTML.
func marshalPlain(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// dirName returns the name of an artifact's directory.
func dirName(kind, id string) string { return kind + "-" + id[:16] }

func validHash(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 2*sha256.Size
}
