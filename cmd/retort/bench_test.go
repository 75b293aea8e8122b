package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/bench"
)

// figures runs a benchmark in this process and decodes what it prints.
func figures(t *testing.T, into any, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(t.Context(), append([]string{"retort", "bench"}, args...), streams{&out, &errs}); code != exitDone || errs.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
}

func TestBenchJSON(t *testing.T) {
	var train bench.TrainFigures
	figures(t, &train, "train", "--json", "--shape", "tiny", "--seq", "8", "--rank", "3", "--runs", "1", "--threads", "1")
	if train.Bench != "train" || train.Supervised != 8 || train.Rank != 3 || train.Step.TokensPerRun != 8 || train.Machine.Threads != 1 {
		t.Errorf("%+v", train)
	}
	var infer map[string]any
	figures(t, &infer, "infer", "--shape", "tiny", "--prompt", "0", "--generate", "2", "--runs", "1", "--json", "--pure")
	if _, has := infer["prompt"]; has || infer["pure"] != true || infer["generate"].(map[string]any)["tokens_per_second"] == nil {
		t.Errorf("%v", infer)
	}
	if peak, has := infer["peak_memory_bytes"]; !has || peak == 0.0 {
		t.Errorf("peak memory %v", peak)
	}
	var gemm bench.GEMMFigures
	figures(t, &gemm, "gemm", "--shape", "tiny", "--m", "3", "--runs", "1", "--weights", "bf16", "--json")
	if gemm.Bench != "gemm" || gemm.M != 3 || len(gemm.Products) != 5*2*2 || gemm.Products[1].Weights != "bf16" {
		t.Errorf("%+v", gemm)
	}
}

func TestInterruptedBench(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := execute(ctx, []string{"retort", "bench", "train", "--shape", "tiny"}, streams{&out, &errs})
	if code != exitInterrupted || strings.TrimSpace(errs.String()) != "retort: interrupted" || out.Len() > 0 {
		t.Errorf("exit code %d, it said %s%s", code, errs.String(), out.String())
	}
}
