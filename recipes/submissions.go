package recipes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/distill/api"
	"github.com/retort-ml/retort/internal/atomicfile"
)

// submissionsDir holds what was handed in to batch APIs, in the pipeline's
// store: a JSON file each.
const submissionsDir = "batches"

// submissions implements api.Ledger.
type submissions struct{ dir string }

// Save implements api.Ledger.
func (s submissions) Save(_ context.Context, b api.Submission) error {
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return err
	}
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	name := sha256.Sum256([]byte(b.Marker))
	return atomicfile.WriteBytes(filepath.Join(s.dir, hex.EncodeToString(name[:16])+".json"), append(data, '\n'))
}

// Open implements api.Ledger.
func (s submissions) Open(_ context.Context, teacher string) ([]api.Submission, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var open []api.Submission
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var b api.Submission
		if err := json.Unmarshal(data, &b); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if b.Teacher == teacher && !b.Done {
			open = append(open, b)
		}
	}
	slices.SortFunc(open, func(a, b api.Submission) int { return a.Created.Compare(b.Created) })
	return open, nil
}
