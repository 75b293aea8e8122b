package gguf_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
)

func TestGet(t *testing.T) {
	m := gguf.Metadata{{"n", uint32(7)}, {"s", "text"}, {"tokens", []string{"a", "b"}}}
	if got, ok, err := gguf.Get[uint32](m, "n"); got != 7 || !ok || err != nil {
		t.Errorf("uint32: %v, %v, %v", got, ok, err)
	}
	if got, ok, err := gguf.Get[string](m, "s"); got != "text" || !ok || err != nil {
		t.Errorf("string: %v, %v, %v", got, ok, err)
	}
	if got, ok, err := gguf.Get[[]string](m, "tokens"); !reflect.DeepEqual(got, []string{"a", "b"}) || !ok || err != nil {
		t.Errorf("strings: %v, %v, %v", got, ok, err)
	}
	if got, ok, err := gguf.Get[bool](m, "none"); got || ok || err != nil {
		t.Errorf("absent: %v, %v, %v, want false and no error", got, ok, err)
	}
	_, _, err := gguf.Get[[]float32](m, "tokens")
	if want := "metadata tokens: is []string, want []float32"; err == nil || err.Error() != want {
		t.Errorf("wrong type: %v, want %q", err, want)
	}
	if _, _, err := gguf.Get[int32](m, "n"); err == nil {
		t.Error("int32 of a uint32: no error")
	}
}

func TestInt(t *testing.T) {
	cases := []struct {
		value any
		want  int64
		err   string
	}{
		{uint8(200), 200, ""}, {int8(-2), -2, ""}, {uint16(60_000), 60_000, ""}, {int16(-3), -3, ""},
		{uint32(math.MaxUint32), math.MaxUint32, ""}, {int32(-4), -4, ""}, {int64(-5), -5, ""},
		{uint64(math.MaxInt64), math.MaxInt64, ""},
		{uint64(math.MaxUint64), 0, "out of range"},
		{float32(1), 0, "metadata k: is float32, want an integer"},
		{[]uint32{1}, 0, "metadata k: is []uint32, want an integer"},
	}
	for _, c := range cases {
		got, ok, err := gguf.Metadata{{"k", c.value}}.Int("k")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%T(%v): %v, want %q", c.value, c.value, err, c.err)
			}
			continue
		}
		if got != c.want || !ok || err != nil {
			t.Errorf("%T(%v): %d, %v, %v", c.value, c.value, got, ok, err)
		}
	}
	if _, ok, err := (gguf.Metadata{}).Int("k"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}
