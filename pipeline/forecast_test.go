package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// withMemory is a copy stage that forecasts m, and notes what was made then.
func withMemory(name string, inputs []string, m pipeline.Memory, err error, made *[]string) pipeline.Stage {
	s := copyStage(name, name, nil, inputs, nil)
	s.Memory = func(_ context.Context, dir func(string) string) (pipeline.Memory, error) {
		if made != nil {
			*made = nil
			for _, stage := range []string{"a", "b", "c"} {
				if dir(stage) != "" {
					*made = append(*made, stage)
				}
			}
		}
		return m, err
	}
	return s
}

func TestPlanForecastsMemoryOfWhatWillRun(t *testing.T) {
	s := newStore(t)
	var made []string
	stages := []pipeline.Stage{
		withMemory("a", nil, pipeline.Memory{PeakBytes: 11}, nil, nil),
		withMemory("b", []string{"a"}, pipeline.Memory{PeakBytes: 22}, nil, &made),
	}
	mustRun(t, s, stages[:1], pipeline.Options{})
	plan := mustPlan(t, s, stages)
	if plan.Stages[0].PeakBytes != 0 || plan.Stages[1].PeakBytes != 22 || plan.Err() != nil {
		t.Errorf("plan %+v, error %v", plan.Stages, plan.Err())
	}
	if !slices.Equal(made, []string{"a"}) {
		t.Errorf("made were %v, want a alone", made)
	}
	record := mustRun(t, s, stages, pipeline.Options{})
	if got := record.Stages[1].PlannedBytes; got != 22 {
		t.Errorf("%d bytes planned in the record", got)
	}
}

func TestRunRefusesWhatDoesNotFit(t *testing.T) {
	s := newStore(t)
	var ran counter
	stages := []pipeline.Stage{
		copyStage("a", "1", &ran, nil, nil),
		withMemory("b", []string{"a"}, pipeline.Memory{PeakBytes: 22, Fault: "takes 22 bytes"}, nil, nil),
		withMemory("c", nil, pipeline.Memory{PeakBytes: 33, Fault: "takes 33 bytes"}, nil, nil),
	}
	plan := mustPlan(t, s, stages)
	for _, text := range []string{"stage b: takes 22 bytes", "stage c: takes 33 bytes"} {
		if err := plan.Err(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
	record, err := pipeline.Run(t.Context(), s, stages, pipeline.Options{})
	if record != nil || err == nil || !strings.Contains(err.Error(), "takes 22 bytes") {
		t.Errorf("run: %v, %v", record, err)
	}
	if ran.take() != "" {
		t.Error("a stage ran")
	}
	if _, err := pipeline.Run(t.Context(), s, stages, pipeline.Options{Targets: []string{"a"}}); err != nil {
		t.Errorf("a target that fits: %v", err)
	}
}

func TestForecastErrorsNameTheStage(t *testing.T) {
	broken := errors.New("no such model")
	_, err := pipeline.NewPlan(t.Context(), newStore(t), []pipeline.Stage{withMemory("a", nil, pipeline.Memory{}, broken, nil)})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "stage a: ") {
		t.Errorf("error %v", err)
	}
}

func TestPlanSaysWhatOthersCharge(t *testing.T) {
	s := newStore(t)
	charged := func(name string, c pipeline.Charge, err error) pipeline.Stage {
		stage := copyStage(name, name, nil, nil, nil)
		stage.Charge = func(context.Context, func(string) string) (pipeline.Charge, error) { return c, err }
		return stage
	}
	stages := []pipeline.Stage{charged("a", pipeline.Charge{Calls: 1}, nil), charged("b", pipeline.Charge{Calls: 2, Likely: 0.5, Most: 3}, nil)}
	mustRun(t, s, stages[:1], pipeline.Options{})
	plan := mustPlan(t, s, stages)
	if plan.Stages[0].Charge != nil {
		t.Errorf("a stage that is reused is charged %+v", plan.Stages[0].Charge)
	}
	if c := plan.Stages[1].Charge; c == nil || *c != (pipeline.Charge{Calls: 2, Likely: 0.5, Most: 3}) {
		t.Errorf("charge %+v", c)
	}
	broken := errors.New("no price")
	_, err := pipeline.NewPlan(t.Context(), s, []pipeline.Stage{charged("c", pipeline.Charge{}, broken)})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "stage c: what it costs") {
		t.Errorf("error %v", err)
	}
}
