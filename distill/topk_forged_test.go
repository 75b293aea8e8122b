package distill_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
)

// sign makes answers.json describe the files as they are: what a forger would do.
func sign(t testing.TB, dir string) {
	t.Helper()
	path := filepath.Join(dir, "answers.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for name := range d["files"].(map[string]any) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		d["files"].(map[string]any)[name] = map[string]any{"bytes": len(b), "sha256": hex.EncodeToString(sum[:])}
	}
	if text, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestForgedTopFiles(t *testing.T) {
	description := func(b []byte) int { return 16 + int(binary.LittleEndian.Uint32(b[12:])) } // after magic and schema
	// put writes a number of 16 bits at some place of the body of the only batch, of
	// 21 rows with 3 alternatives: 88 bytes of list starts, 128 of ids, 88 of starts,
	// 128 of roots, 48 of rests.
	put := func(at int, x uint16) func([]byte) []byte {
		return func(b []byte) []byte {
			body := description(b) + 8 + int(binary.LittleEndian.Uint32(b[description(b)+4:]))
			binary.LittleEndian.PutUint16(b[body+at:], x)
			return b
		}
	}
	both := func(first, then func([]byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte { return then(first(b)) }
	}
	const ids, again, roots, rest = 88, 88 + 128, 88 + 128 + 88, 88 + 128 + 88 + 128
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"huge description", func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[description(b)+4:], 1<<30)
			return b
		}, "with 1073741824 bytes of description"},
		{"no batches", func(b []byte) []byte { return append(b[:description(b)], make([]byte, 4096)...) }, "a message marked 0x0"},
		{"nothing but a schema", func(b []byte) []byte { return b[:description(b)] }, "it ends 21 rows too early"},
		{"cut in the batch", func(b []byte) []byte { return b[:description(b)+400] }, "unexpected EOF"},
		{"more after the batch", func(b []byte) []byte { return append(b[:len(b)-10:len(b)-10], b[len(b)-30:]...) }, "it does not end after 21 rows"},
		{"no magic at the end", func(b []byte) []byte { b[len(b)-1]++; return b }, "it does not end after 21 rows"},
		{"too many values", put(4*21, 64), "a record batch of 21 rows with 64 alternatives"},
		{"list backwards", both(put(4*3, 2), put(again+4*3, 2)), "token 0 of all: alternatives 6 to 2 of 63"},
		{"long list", both(put(4*3, 10), put(again+4*3, 10)), "token 0 of all: alternatives 6 to 10 of 63, at most 3"},
		{"list from nowhere", both(put(2, 0xffff), put(again+2, 0xffff)), "token 0 of all: alternatives -65536 to 63 of 63"},
		{"other lists", put(again+4, 2), "lists of other lengths"},
		{"id outside", put(ids+2*4, 40), "row 1 of its record batch: the teacher's token id 40 is outside a vocabulary of 40"},
		{"a probability of 0", put(roots, 0), "is -Inf"},
		{"too likely", put(roots+2, 65535), "probabilities and the rest add up to"},
		{"too unlikely", put(roots, 1), "probabilities and the rest add up to"},
		{"rest of 0", put(rest, 0), "row 0 of its record batch: the teacher's rest has the root 0"},
		{"rest too large", put(rest+2*20, 65535), "row 20 of its record batch: the teacher's 3 probabilities and the rest add up to"},
		{"rest too small", put(rest, 1), "probabilities and the rest add up to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeAnswers(t, 3, someRows(12, 3))
			change(t, filepath.Join(dir, "topk.arrow"), c.change)
			sign(t, dir)
			if err := readAnswers(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "topk.arrow") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A forged file, whose checksum is right, gives an error or alternatives that
// the rows can have, and takes no memory that it does not fill.
func FuzzTopFile(f *testing.F) {
	dir := f.TempDir()
	if err := writeTo(dir, info(3), someRows(12, 3)); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "topk.arrow"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for n := range 600 {
		b := bytes.Clone(good)
		b[n*len(b)/600] ^= byte(1 << (n % 8))
		f.Add(b)
	}
	for n := range 10 {
		f.Add(good[:n*len(good)/10])
		f.Add(append(bytes.Clone(good[n*len(good)/20:]), good[len(good)/2:]...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, "topk.arrow"), content, 0o666); err != nil {
			t.Fatal(err)
		}
		sign(t, dir)
		a, err := distill.OpenAnswers(dir)
		if err != nil {
			t.Fatal(err)
		}
		table, err := a.TopK()
		if err != nil {
			if !strings.Contains(err.Error(), "topk.arrow") {
				t.Errorf("error %v does not name the file", err)
			}
			return
		}
		rows, err := a.ReadRows()
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if table.Places(i) != len(r.Tokens) {
				t.Errorf("answer %d: %d places for %d tokens", i, table.Places(i), len(r.Tokens))
			}
		}
	})
}
