package distill

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/atomicfile"
)

// WriteMemory is about the most bytes that an AnswersWriter takes: a row group of
// answers.parquet and a record batch of topk.arrow.
const WriteMemory = 64 << 20

// AnswersWriter writes an artifact row by row: in memory are a row group of
// answers.parquet and a record batch of topk.arrow. It ends with Finish or Close,
// and is not for concurrent use.
type AnswersWriter struct {
	dir    string
	info   Info
	counts Counts
	rows   *datasets.ParquetWriter[Row]
	top    *topWriter // nil if none are kept
	err    error      // of an Add: the artifact cannot be finished
}

// CreateAnswers begins an artifact in dir, which must exist. Its files appear
// there with Finish.
func CreateAnswers(dir string, info Info) (*AnswersWriter, error) {
	w := &AnswersWriter{dir: dir, info: info, counts: Counts{Finish: map[string]int{}}}
	err := info.check()
	if err == nil {
		w.rows, err = datasets.CreateParquet[Row](filepath.Join(dir, answersFile))
	}
	if err == nil && info.TopK > 0 {
		w.top, err = createTop(filepath.Join(dir, topArrow), info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write answers %s: %w", dir, err), w.Close())
	}
	return w, nil
}

// Add adds a row. One whose alternatives are more than Info.TopK for one of its
// tokens, or are no probabilities, is an error that names it, and the artifact
// is then not to be finished.
func (w *AnswersWriter) Add(r Row) error {
	if w.err == nil {
		if err := w.add(&r); err != nil {
			w.err = fmt.Errorf("write answers %s: %w", w.dir, err)
		}
	}
	return w.err
}

func (w *AnswersWriter) add(r *Row) error {
	n := w.counts.Answers
	if err := w.counts.add(r); err != nil {
		return err
	}
	if w.top != nil {
		if err := w.top.add(r); err != nil {
			return fmt.Errorf("row %d (%s): %w", n, r.ID, err)
		}
	}
	return w.rows.Write([]Row{*r}, r.bytes())
}

// Finish publishes answers.parquet, topk.arrow if Info.TopK is not 0, and
// answers.json, which comes last. The same rows give the same bytes.
func (w *AnswersWriter) Finish() error {
	if w.err != nil {
		return w.err
	}
	d := description{Format: descriptionFormat, Info: w.info, Counts: w.counts, Files: map[string]fileSum{}}
	err := w.rows.Commit()
	if err != nil {
		return err
	}
	if d.Files[answersFile], err = sumFile(filepath.Join(w.dir, answersFile)); err != nil {
		return err
	}
	if w.top != nil {
		if d.Files[topArrow], err = w.top.commit(); err != nil {
			return fmt.Errorf("write answers %s: %w", w.dir, err)
		}
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write answers %s: %w", w.dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(w.dir, descriptionFile), append(text, '\n'))
}

// Close gives up what was not finished. After Finish it does nothing.
func (w *AnswersWriter) Close() error {
	var errs []error
	if w.rows != nil {
		errs = append(errs, w.rows.Close())
	}
	if w.top != nil {
		errs = append(errs, w.top.file.Abort())
	}
	return errors.Join(errs...)
}
