package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

func TestRuns(t *testing.T) {
	s := newStore(t)
	if list, err := s.Runs(); err != nil || len(list) != 0 {
		t.Errorf("runs of no store: %v, %v", list, err)
	}
	var during []*pipeline.Record
	looking := failing(nil, func(context.Context, *pipeline.Work) (err error) {
		during, err = s.Runs()
		if err == nil {
			panic("looked")
		}
		return err
	})
	_, err := pipeline.Run(t.Context(), s, looking, pipeline.Options{Targets: []string{"bad"}})
	wantError(t, err, "looked")
	if len(during) != 1 || during[0].Status != pipeline.Running || outcomes(during[0]) != "a:ran bad:running" {
		t.Errorf("while it ran: %+v", during)
	}
	mustRun(t, s, pair(nil), pipeline.Options{Recipe: "second"})
	list, err := s.Runs()
	if err != nil || len(list) != 2 {
		t.Fatalf("runs %v, %v", list, err)
	}
	last, first := list[0], list[1]
	if last.Recipe != "second" || last.Status != pipeline.Done || first.Status != pipeline.Failed || len(first.Targets) != 1 {
		t.Errorf("runs %+v and %+v, the latest first", last, first)
	}
	if !last.Started.Before(last.Ended) || last.PID != os.Getpid() {
		t.Errorf("latest run: %+v", last)
	}
	if !strings.Contains(first.Stages[1].Stack, "record_test.go") {
		t.Errorf("the record has no stack: %+v", first.Stages[1])
	}
}

func TestDamagedRunRecords(t *testing.T) {
	s := newStore(t)
	r := mustRun(t, s, pair(nil), pipeline.Options{})
	path := filepath.Join(s.Dir(), "runs", r.ID, "run.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, content string
		status        pipeline.Status
	}{
		{"as it was", string(good), pipeline.Done},
		{"process gone", strings.Replace(string(good), `"done"`, `"running"`, 1), pipeline.Dead},
		{"cut short", string(good[:len(good)/2]), pipeline.Unreadable},
		{"of another run", strings.Replace(string(good), r.ID, "x", 1), pipeline.Unreadable},
		{"empty", "", pipeline.Unreadable},
		{"stage with a hostile kind", strings.ReplaceAll(string(good), `"kind": "copy"`, `"kind": "../../copy"`), pipeline.Done},
		{"stage with a hostile id", strings.ReplaceAll(string(good), r.Stages[0].ID, "../../../x"), pipeline.Done},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			writeFile(t, path, tt.content)
			list, err := s.Runs()
			if err != nil || len(list) != 1 || list[0].Status != tt.status || list[0].ID != r.ID {
				t.Fatalf("runs %+v, %v; want status %s", list, err, tt.status)
			}
			if tt.status == pipeline.Unreadable && !strings.Contains(list[0].Error, "run.json: ") {
				t.Errorf("error %q", list[0].Error)
			}
			named := tt.content == string(good) || tt.status == pipeline.Dead
			if _, err := s.Artifact("data"); named != (err == nil) {
				t.Errorf("artifact of the stage: %v; want one: %v", err, named)
			}
			mustPlan(t, s, []pipeline.Stage{copyStage("data", "changed", nil, nil, nil)})
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Runs(); err != nil || list[0].Status != pipeline.Dead {
		t.Errorf("run without a record: %+v, %v", list, err)
	}
}

func TestEventsOfAKilledRun(t *testing.T) {
	const line = `{"time":"2026-01-02T03:04:05Z","stage":"a","kind":"loss","fields":{"nats":1}}` + "\n"
	tests := []struct {
		name, content string
		events        int
		want          string // error
	}{
		{"none", "", 0, ""},
		{"two", line + line, 2, ""},
		{"cut short", line + line[:20], 1, ""},
		{"cut before the newline", line + strings.TrimSuffix(line, "\n"), 1, ""},
		{"damaged line", line + "x\n" + line, 1, "line 2"},
		{"endless line", strings.Repeat("x", 17<<20), 0, "too long"},
	}
	s := newStore(t)
	r := mustRun(t, s, pair(nil), pipeline.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			writeFile(t, filepath.Join(s.Dir(), "runs", r.ID, "events.jsonl"), tt.content)
			n, failed := 0, error(nil)
			for e, err := range s.Events(r.ID) {
				if err != nil {
					failed = err
					continue
				}
				n++
				if e.Kind != "loss" || string(e.Fields) != `{"nats":1}` || e.Time.Year() != 2026 {
					t.Errorf("event %+v", e)
				}
			}
			if n != tt.events {
				t.Errorf("%d events, want %d", n, tt.events)
			}
			if tt.want == "" && failed != nil {
				t.Error(failed)
			}
			if tt.want != "" {
				wantError(t, failed, r.ID, tt.want)
			}
		})
	}
	for _, id := range []string{"", "..", "../runs/" + r.ID, "nosuch"} {
		for _, err := range s.Events(id) {
			wantError(t, err, "no run")
		}
	}
}
