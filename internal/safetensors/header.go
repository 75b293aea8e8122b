package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// lengthBytes is the size of the header's length field.
	lengthBytes = 8
	// maxHeaderBytes is the reference implementation's cap.
	maxHeaderBytes = 100_000_000
	// metadataKey is the one key of a header that names no tensor.
	metadataKey = "__metadata__"
)

// entry is one tensor of a header; begin and end count from the end of the
// header.
type entry struct {
	dtype      Dtype
	shape      []int
	begin, end int64
}

type header struct {
	tensors  map[string]entry
	metadata map[string]string
	bytes    int64 // length field included; the tensors' bytes start here
}

// readHeader reads and checks the header of a whole file. Everything that is
// later relied upon is checked here.
func readHeader(file []byte) (header, error) {
	text, err := headerText(file)
	if err != nil {
		return header{}, err
	}
	h, err := parseHeader(text)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	h.bytes = lengthBytes + int64(len(text))
	return h, h.checkRanges(int64(len(file)))
}

func headerText(file []byte) ([]byte, error) {
	if len(file) < lengthBytes {
		return nil, fmt.Errorf("file of %d bytes is too short for a header: truncated", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeaderBytes {
		return nil, fmt.Errorf("header of %d bytes exceeds the limit of %d: not a safetensors file?", n, maxHeaderBytes)
	}
	rest := file[lengthBytes:]
	if n > uint64(len(rest)) {
		return nil, fmt.Errorf("header needs %d bytes, file has %d: truncated", lengthBytes+n, len(file))
	}
	return rest[:n], nil
}

func parseHeader(text []byte) (header, error) {
	if len(text) == 0 || text[0] != '{' {
		return header{}, errors.New("does not start with '{': not a safetensors file?")
	}
	if !utf8.Valid(text) { // encoding/json would replace what is wrong and go on
		return header{}, errors.New("is not UTF-8")
	}
	dec, err := newDecoder(text)
	if err != nil {
		return header{}, err
	}
	h := header{tensors: map[string]entry{}, metadata: map[string]string{}}
	err = readObject(dec, func(key string) error {
		if key == metadataKey {
			return readStrings(dec, h.metadata)
		}
		e, err := readEntry(dec)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		h.tensors[key] = e
		return nil
	})
	return h, err
}

// readEntry reads one tensor's object. Fields that the format does not define
// are skipped, as the reference implementation does.
func readEntry(dec *json.Decoder) (e entry, err error) {
	found := map[string]bool{}
	err = readObject(dec, func(key string) (err error) {
		found[key] = true
		switch key {
		case "dtype":
			var s string
			s, err = readString(dec)
			e.dtype = Dtype(s)
		case "shape":
			e.shape, err = readSizes(dec)
		case "data_offsets":
			e.begin, e.end, err = readRange(dec)
		default:
			var ignored json.RawMessage
			err = dec.Decode(&ignored)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return entry{}, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !found[key] {
			return entry{}, fmt.Errorf("no %s", key)
		}
	}
	return e, e.checkSize()
}

func readRange(dec *json.Decoder) (begin, end int64, err error) {
	offsets, err := readSizes(dec)
	if err != nil {
		return 0, 0, err
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return 0, 0, fmt.Errorf("%v is not [begin, end]", offsets)
	}
	return int64(offsets[0]), int64(offsets[1]), nil
}

// checkSize compares dtype and shape with the byte range.
func (e entry) checkSize() error {
	want, err := byteCount(e.dtype, e.shape)
	if err != nil {
		return err
	}
	if have := e.end - e.begin; have != want {
		return fmt.Errorf("data_offsets [%d, %d] hold %d bytes, %s of shape %v needs %d",
			e.begin, e.end, have, e.dtype, e.shape, want)
	}
	return nil
}

// checkRanges wants the tensors to tile the file from the header to its end.
func (h header) checkRanges(fileBytes int64) error {
	next := int64(0)
	for _, name := range h.byOffset() {
		e := h.tensors[name]
		switch {
		case e.begin < next:
			return fmt.Errorf("header: tensor %q: begins at byte %d, inside the tensor before it, which ends at %d", name, e.begin, next)
		case e.begin > next:
			return fmt.Errorf("header: tensor %q: begins at byte %d, which leaves a hole after byte %d", name, e.begin, next)
		}
		next = e.end
	}
	switch have := fileBytes - h.bytes; {
	case next > have:
		return fmt.Errorf("header and tensors need %d bytes, file has %d: truncated", h.bytes+next, fileBytes)
	case next < have:
		return fmt.Errorf("tensors and header take %d bytes, file has %d: %d bytes belong to nothing", h.bytes+next, fileBytes, have-next)
	}
	return nil
}

// byOffset returns the names in the order of their bytes; empty tensors come
// before the one that begins where they do.
func (h header) byOffset() []string {
	names := make([]string, 0, len(h.tensors))
	for name := range h.tensors {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := h.tensors[a], h.tensors[b]
		return cmp.Or(cmp.Compare(x.begin, y.begin), cmp.Compare(x.end, y.end), cmp.Compare(a, b))
	})
	return names
}
