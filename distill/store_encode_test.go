package distill

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/model"
)

// The checksum keeps damage from decodeTop; it must not rely on that.
func FuzzDecodeTop(f *testing.F) {
	e, err := encodeAnswer(Key{}, Answer{Top: []model.TopTokens{
		{IDs: []int32{300, 1}, LogProbs: []float32{-0.25, -3}}, {IDs: []int32{}, LogProbs: []float32{}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.blobs[2])
	f.Add(e.blobs[2][:len(e.blobs[2])-2])
	f.Add(binary.AppendUvarint(nil, 1<<62))                                         // more than there is
	f.Add(append(binary.AppendUvarint([]byte{1}, 1<<40), 0, 0, 0, 0))               // an id of 41 bits
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})    // no varint
	f.Add([]byte{2, 5, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // ends in an id
	f.Fuzz(func(t *testing.T, b []byte) {
		top, err := decodeTop(b)
		if err != nil {
			return
		}
		e, err := encodeAnswer(Key{}, Answer{Top: top})
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeTop(e.blobs[2])
		if err != nil || len(again) != len(top) {
			t.Errorf("%v becomes %v, error %v", top, again, err)
		}
	})
}

func TestDecodeTopRefuses(t *testing.T) {
	for _, b := range [][]byte{{1}, {1, 5, 0, 0, 0}, binary.AppendUvarint(nil, 1<<62), append(binary.AppendUvarint([]byte{1}, 1<<40), 0, 0, 0, 0)} {
		if top, err := decodeTop(b); err == nil || !strings.Contains(err.Error(), "end too early") {
			t.Errorf("%v: %v, error %v", b, top, err)
		}
	}
	if top, err := decodeTop(nil); err != nil || !reflect.DeepEqual(top, []model.TopTokens(nil)) {
		t.Errorf("nothing: %v, error %v", top, err)
	}
	uneven := Answer{Top: []model.TopTokens{{IDs: []int32{1, 2}, LogProbs: []float32{0}}}}
	if _, err := encodeAnswer(Key{}, uneven); err == nil || !strings.Contains(err.Error(), "2 alternatives with 1 log-probabilities") {
		t.Errorf("uneven alternatives: %v", err)
	}
}
