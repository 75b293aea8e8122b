package distill

import (
	"fmt"
	"iter"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
)

// Answers is an artifact that OpenAnswers opened.
type Answers struct {
	Info
	Counts Counts
	dir    string
	top    fileSum // of topk.arrow, if there is one
}

// OpenAnswers opens an artifact that an AnswersWriter finished. answers.parquet is
// compared with its sum in answers.json, but only its footer is decoded: Rows reads
// the rows, TopK the alternatives. A file that is not as answers.json says is an
// error that names it.
func OpenAnswers(dir string) (*Answers, error) {
	a, err := openAnswers(dir)
	if err != nil {
		return nil, fmt.Errorf("open answers: %w", err)
	}
	return a, nil
}

func openAnswers(dir string) (*Answers, error) {
	d, err := readDescription(filepath.Join(dir, descriptionFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, answersFile)
	if err := checkFile(path, d.Files[answersFile]); err != nil {
		return nil, err
	}
	rows, err := datasets.CheckParquet[Row](path)
	if err != nil {
		return nil, err
	}
	if rows != int64(d.Counts.Answers) {
		return nil, fmt.Errorf("read %s: %d answers, and %s says %d", path, rows, descriptionFile, d.Counts.Answers)
	}
	return &Answers{Info: d.Info, Counts: d.Counts, dir: dir, top: d.Files[topArrow]}, nil
}

// Rows yields the rows in order, without Top, a few hundred of them in memory at
// a time. An error names the file and the row, and nothing follows it.
func (a *Answers) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		path := filepath.Join(a.dir, answersFile)
		counts := Counts{Finish: map[string]int{}}
		for r, err := range datasets.ParquetRows[Row](path) {
			if err == nil {
				if err = counts.add(&r); err != nil {
					err = fmt.Errorf("read %s: %w", path, err)
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if counts.Answers != a.Counts.Answers || counts.AnswerTokens != a.Counts.AnswerTokens {
			yield(Row{}, fmt.Errorf("read %s: %d answers of %d tokens, and %s says %d of %d", path,
				counts.Answers, counts.AnswerTokens, descriptionFile, a.Counts.Answers, a.Counts.AnswerTokens))
		}
	}
}

// ReadRows reads all rows, which must fit in memory.
func (a *Answers) ReadRows() ([]Row, error) {
	var list []Row
	for r, err := range a.Rows() {
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}
