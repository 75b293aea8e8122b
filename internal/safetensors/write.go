package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// Tensor is a tensor to write.
type Tensor struct {
	Name  string
	Dtype Dtype
	Shape []int  // row-major; empty for a scalar
	Data  []byte // elements, little-endian; only read
}

// WriteFile writes tensors and metadata to the file at path, which appears
// complete or not at all.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

// Write writes tensors and metadata, which may be empty. The bytes depend on
// the arguments' content alone, not on the order of tensors, and are those
// that the reference implementation writes: tensors by falling dtype, then by
// name, and the header padded so that their bytes start at a multiple of 8.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	if err := check(tensors); err != nil {
		return err
	}
	sorted := slices.SortedFunc(slices.Values(tensors), compare)
	text, err := appendHeader(make([]byte, lengthBytes), sorted, metadata)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(text, uint64(len(text)-lengthBytes))
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	for _, t := range sorted {
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("write tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

// check refuses tensors that a reader would refuse.
func check(tensors []Tensor) error {
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if t.Name == metadataKey || !utf8.ValidString(t.Name) {
			return fmt.Errorf("tensor %q: not a possible name", t.Name)
		}
		if seen[t.Name] {
			return fmt.Errorf("tensor %q: given twice", t.Name)
		}
		seen[t.Name] = true
		want, err := byteCount(t.Dtype, t.Shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if int64(len(t.Data)) != want {
			return fmt.Errorf("tensor %q: %d bytes of data, %s of shape %v needs %d", t.Name, len(t.Data), t.Dtype, t.Shape, want)
		}
	}
	return nil
}

func compare(a, b Tensor) int {
	_, x := a.Dtype.describe()
	_, y := b.Dtype.describe()
	return cmp.Or(cmp.Compare(y, x), cmp.Compare(a.Name, b.Name))
}

// appendHeader appends the padded JSON of a header to text, which holds the
// space of the length field.
func appendHeader(text []byte, sorted []Tensor, metadata map[string]string) ([]byte, error) {
	text = append(text, '{')
	if len(metadata) > 0 {
		text = append(appendString(text, metadataKey), ":{"...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, fmt.Errorf("metadata %q: not UTF-8", key)
			}
			text = append(appendString(appendComma(text, i), key), ':')
			text = appendString(text, metadata[key])
		}
		text = append(text, '}')
	}
	begin := 0
	for i, t := range sorted {
		if i > 0 || len(metadata) > 0 {
			text = append(text, ',')
		}
		text = append(appendString(text, t.Name), `:{"dtype":`...)
		text = append(appendString(text, string(t.Dtype)), `,"shape":`...)
		text = append(appendSizes(text, t.Shape...), `,"data_offsets":`...)
		text = append(appendSizes(text, begin, begin+len(t.Data)), '}')
		begin += len(t.Data)
	}
	text = append(text, '}')
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text)-lengthBytes > maxHeaderBytes {
		return nil, errors.New("header: names, shapes and metadata take more than the 100 MB that readers accept")
	}
	return text, nil
}

func appendComma(text []byte, i int) []byte {
	if i == 0 {
		return text
	}
	return append(text, ',')
}

func appendSizes(text []byte, sizes ...int) []byte {
	text = append(text, '[')
	for i, n := range sizes {
		text = strconv.AppendInt(appendComma(text, i), int64(n), 10)
	}
	return append(text, ']')
}

// appendString appends s as a JSON string with no more escapes than JSON
// demands, which encoding/json cannot be told to do.
func appendString(text []byte, s string) []byte {
	text = append(text, '"')
	plain := 0 // where the bytes not yet appended begin
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			text = appendEscape(append(text, s[plain:i]...), c)
			plain = i + 1
		}
	}
	return append(append(text, s[plain:]...), '"')
}

func appendEscape(text []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(text, '\\', c)
	case '\b':
		return append(text, `\b`...)
	case '\f':
		return append(text, `\f`...)
	case '\n':
		return append(text, `\n`...)
	case '\r':
		return append(text, `\r`...)
	case '\t':
		return append(text, `\t`...)
	}
	return append(text, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
