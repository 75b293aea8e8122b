package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// Hash returns the SHA-256, in hexadecimal, of everything that changes ids or
// text: two tokenizers with the same hash do the same. White space in the files
// and the chat template are not part of it.
func (t *Tokenizer) Hash() string {
	h := sha256.New()
	writeStrings(h, t.vocab.tokens...)
	t.model.digest(h)
	writeStrings(h, string(t.steps))
	if b, ok := t.pre.(byteLevel); ok { // the settings may have changed it
		fmt.Fprintf(h, "%+v\n", b)
	}
	fmt.Fprintf(h, "%v\n", t.post)
	for id := range t.vocab.tokens {
		if a, ok := t.added.byID[int32(id)]; ok {
			fmt.Fprintf(h, "%+q\n", fmt.Sprintf("%+v", a))
		}
	}
	fmt.Fprintf(h, "%v\n", []int32{t.bos, t.eos, t.pad, t.unk})
	return hex.EncodeToString(h.Sum(nil))
}

// writeStrings writes each string after its length, so that no two lists give
// the same bytes.
func writeStrings(w io.Writer, list ...string) {
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(list)))
	w.Write(size[:])
	for _, s := range list {
		binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
		w.Write(size[:])
		io.WriteString(w, s)
	}
}

func (m *bpe) digest(w io.Writer) {
	fmt.Fprintf(w, "bpe %d %t %t %t %q %q\n", m.unk, m.fuseUnk, m.byteFallback, m.ignoreMerges, m.prefix, m.suffix)
	for _, pair := range m.mergeList {
		writeStrings(w, pair[:]...)
	}
}

func (m *scored) digest(w io.Writer) {
	fmt.Fprintf(w, "scored %d %v\n", m.unk, m.ranks)
	if m.wholeUnknown {
		fmt.Fprintf(w, "whole unknown %t\n", m.byteIDs != noBytes())
	}
}

// compactSteps returns components of tokenizer.json without white space.
func compactSteps(parts ...json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	for _, raw := range parts {
		if isNull(raw) {
			raw = json.RawMessage("null")
		}
		if err := json.Compact(&b, raw); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}
