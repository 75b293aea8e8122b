package refine_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill/refine"
)

// recorded is a row of GSM8K's recorded answers.
type recorded struct {
	Reference string `parquet:"reference,optional"`
	Model     string `parquet:"model,optional"`
	Response  string `parquet:"response,optional"`
	IsCorrect bool   `parquet:"is_correct,optional"`
}

// The flags were set by the authors of GSM8K, not by this code.
func TestNumericReproducesRecordedFlags(t *testing.T) {
	const path = "../../../shared/data/gsm8k-recorded-teachers.parquet"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skip(path, "is absent")
	}
	rows, err := datasets.ReadParquet[recorded](path)
	if err != nil {
		t.Fatal(err)
	}
	checker, err := refine.NewChecker(refine.Accept{Numeric: &refine.Numeric{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong, correct := 0, 0
	for i, r := range rows {
		_, faults := checker.Check(r.Response, r.Reference, "stop")
		if (len(faults) == 0) != r.IsCorrect {
			if wrong++; wrong <= 20 {
				t.Errorf("row %d, %s: faults %v, is_correct %v\n%s\nreference %s", i, r.Model, faults, r.IsCorrect, r.Response, r.Reference)
			}
		}
		if r.IsCorrect {
			correct++
		}
	}
	if len(rows) != 5276 || correct == 0 || wrong > 0 {
		t.Errorf("%d rows, %d of them correct; %d differ", len(rows), correct, wrong)
	}
}
