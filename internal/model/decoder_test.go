package model_test

import (
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

func step(t *testing.T, d *model.Decoder, runs ...model.Run) compute.Mat {
	t.Helper()
	h, err := d.Step(runs)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDecodingInPartsIsDecodingAtOnce(t *testing.T) {
	tokens := []int32{1, 5, 2, 9, 9, 0, 3, 10, 4, 4, 6, 7}
	for _, tied := range []bool{true, false} {
		m := tiny(t, tied)
		addNonzeroLoRA(t, m, model.LoRA{R: 2})
		want := rowLogits(t, m, tokens)
		for _, parts := range [][]int{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {7, 1, 4}, {2, 10}} {
			d := model.NewDecoder(m)
			cache := d.NewCache(0)
			var got []float32
			from := 0
			for _, n := range parts {
				h := step(t, d, model.Run{Cache: cache, Tokens: tokens[from : from+n]})
				got = append(got, allLogits(m, d, h)...)
				from += n
			}
			if cache.Len() != len(tokens) {
				t.Errorf("cache of %d tokens, want %d", cache.Len(), len(tokens))
			}
			near(t, "logits", got, want)
		}
	}
}

func TestRunsOfAStepAreSeparate(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	long, short := []int32{1, 2, 3, 4, 5, 6}, []int32{7, 8}
	a, b := d.NewCache(3), d.NewCache(9)
	step(t, d, model.Run{Cache: a, Tokens: long[:4]})
	h := step(t, d, model.Run{Cache: b, Tokens: short}, model.Run{Cache: a, Tokens: long[4:]})
	got := allLogits(m, d, h)
	near(t, "the new sequence", got[:2*11], rowLogits(t, m, short))
	near(t, "the continued one", got[2*11:], rowLogits(t, m, long)[4*11:])
}

func TestForkedCachesPart(t *testing.T) {
	m := tiny(t, false)
	d := model.NewDecoder(m)
	trunk := d.NewCache(1)
	step(t, d, model.Run{Cache: trunk, Tokens: []int32{1, 2, 3}})
	a, b := trunk.Fork(2), trunk.Fork(0)
	h := step(t, d, model.Run{Cache: a, Tokens: []int32{4, 5}}, model.Run{Cache: b, Tokens: []int32{6, 7, 8}}, model.Run{Cache: trunk, Tokens: []int32{9}})
	got := allLogits(m, d, h)
	const v = 11
	near(t, "first fork", got[:2*v], rowLogits(t, m, []int32{1, 2, 3, 4, 5})[3*v:])
	near(t, "second fork", got[2*v:5*v], rowLogits(t, m, []int32{1, 2, 3, 6, 7, 8})[3*v:])
	near(t, "trunk", got[5*v:], rowLogits(t, m, []int32{1, 2, 3, 9})[3*v:])
	if a.Len() != 5 || b.Len() != 6 || trunk.Len() != 4 {
		t.Errorf("lengths %d, %d and %d", a.Len(), b.Len(), trunk.Len())
	}
	empty := d.NewCache(0).Fork(0)
	near(t, "fork of nothing", allLogits(m, d, step(t, d, model.Run{Cache: empty, Tokens: []int32{3}})), rowLogits(t, m, []int32{3}))
}

func TestStepRefuses(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	used := d.NewCache(0)
	step(t, d, model.Run{Cache: used, Tokens: make([]int32, 30)})
	for _, c := range []struct {
		name string
		runs []model.Run
		want []string
	}{
		{"nothing", nil, []string{"no sequences"}},
		{"no tokens", []model.Run{{Cache: used, Tokens: []int32{1}}, {Cache: d.NewCache(0)}}, []string{"run 1", "no tokens"}},
		{"outside", []model.Run{{Cache: used, Tokens: []int32{1}}, {Cache: d.NewCache(0), Tokens: []int32{3, 11}}}, []string{"run 1", "token 1: id 11 is outside the vocabulary of 11"}},
		{"negative", []model.Run{{Cache: used, Tokens: []int32{-1}}}, []string{"run 0", "id -1"}},
		{"too long", []model.Run{{Cache: used, Tokens: []int32{1, 2, 3}}}, []string{"run 0: 33 tokens, the model has 32 positions"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Step(c.runs)
			fails(t, err, c.want...)
			if used.Len() != 30 {
				t.Errorf("the cache has %d tokens, want 30", used.Len())
			}
		})
	}
	h := step(t, d, model.Run{Cache: used, Tokens: []int32{1, 2}})
	near(t, "after errors", allLogits(m, d, h), rowLogits(t, m, append(make([]int32, 30), 1, 2))[30*11:])
}

func TestLogitsOfSomeRows(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	h := step(t, d, model.Run{Cache: d.NewCache(0), Tokens: []int32{1, 2, 3, 4}})
	got := slices.Clone(m.Device().Host(d.Logits(h, []int32{3, 0})))
	all := rowLogits(t, m, []int32{1, 2, 3, 4})
	near(t, "rows 3 and 0", got, append(slices.Clone(all[33:]), all[:11]...))
}
