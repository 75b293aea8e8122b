package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/pipeline"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	rows := pipeline.Stage{Name: "rows", Kind: "dataset", Fingerprint: map[string]int{"limit": 3},
		Run: func(_ context.Context, w *pipeline.Work) error {
			return os.WriteFile(filepath.Join(w.Dir, "rows.txt"), []byte("a\nb\nc\n"), 0o666)
		}}
	count := pipeline.Stage{Name: "count", Kind: "count", Inputs: []string{"rows"},
		Run: func(_ context.Context, w *pipeline.Work) error {
			data, err := os.ReadFile(filepath.Join(w.Input("rows"), "rows.txt"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(w.Dir, "bytes"), fmt.Append(nil, len(data)), 0o666)
		}}
	store, err := pipeline.Open(dir)
	if err != nil {
		panic(err)
	}
	for range 2 {
		record, err := pipeline.Run(context.Background(), store, []pipeline.Stage{rows, count}, pipeline.Options{})
		if err != nil {
			panic(err)
		}
		for _, s := range record.Stages {
			fmt.Println(s.Name, s.Outcome, "because:", s.Reason)
		}
	}
	// Output:
	// rows ran because: no artifact
	// count ran because: input rows runs
	// rows reused because: artifact present
	// count reused because: artifact present
}
