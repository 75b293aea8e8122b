package recipes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/api"
	"github.com/retort-ml/retort/pipeline"
)

// askedTeacher is a model that is ready to be asked.
type askedTeacher struct {
	distill.Teacher
	name string // in the recipe
	// Of a local teacher: hashes of tokenizer and chat template, and how prompts are written.
	tokenizer, prompting, chatTemplate string
	vocabulary                         int                                   // of a local teacher
	scores                             bool                                  // it scores given responses
	pieces                             func(*distill.Answer) []distill.Piece // of a local teacher, its tokens by their bytes
	figures                            func() map[string]any                 // of the calls to a server, for the run's record
	close                              func() error
}

// openTeacher makes the model that ref names ready to be asked.
func (r *Recipe) openTeacher(ctx context.Context, w *pipeline.Work, store *distill.Store, ref string, s Spending, account string, batch int) (*askedTeacher, error) {
	t := &askedTeacher{name: ref, figures: func() map[string]any { return nil }, close: func() error { return nil }}
	m, given := r.Models[ref]
	switch {
	case given && m.isRemote():
		return t, r.openServer(ctx, w, t, store, &m, s, account)
	case given && m.isRecorded():
		dir := filepath.Join(w.Scratch, "recorded-"+ref)
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "scratch"), 0o777)); err != nil {
			return nil, err
		}
		recorded, err := openRecorded(ctx, ref, m.Recorded, dir)
		t.Teacher = recorded
		return t, err
	}
	return t, r.openLocal(w, t, ref, batch)
}

// openLocal loads a model of this machine.
func (r *Recipe) openLocal(w *pipeline.Work, t *askedTeacher, ref string, batch int) error {
	l, err := r.load(w, ref)
	if err != nil {
		return err
	}
	t.close = l.close
	id, err := l.hash()
	if err != nil {
		return errors.Join(err, l.close())
	}
	teacher, err := distill.NewLocalTeacher(l.model, id, l.tokenizer, distill.LocalFormat{Writer: l.writer, BOS: l.bos, Stop: l.stop, Batch: batch})
	if err != nil {
		return errors.Join(err, l.close())
	}
	t.Teacher, t.scores, t.vocabulary = teacher, true, l.model.Config.VocabSize
	t.pieces = func(a *distill.Answer) []distill.Piece { return distill.PiecesOf(l.tokenizer, l.stop, a) }
	t.tokenizer, t.prompting, t.chatTemplate = teacher.TokenizerHash(), l.writer.ID(), l.promptingRecord().ChatTemplate
	return nil
}

// openServer makes a client of a server's API, which pays from the account.
func (r *Recipe) openServer(ctx context.Context, w *pipeline.Work, t *askedTeacher, store *distill.Store, m *Source, s Spending, account string) error {
	access := api.Access{Offline: r.Offline}
	if m.KeyEnv != "" {
		if access.Key = os.Getenv(m.KeyEnv); access.Key == "" {
			return fmt.Errorf("model %s: the environment variable %s, which is to hold its key, is not set", t.name, m.KeyEnv)
		}
	}
	price, err := m.price()
	if err != nil {
		return fmt.Errorf("model %s: %w", t.name, err)
	}
	most := distill.Money(math.MaxInt64)
	if s.Budget > 0 {
		most = distill.USD(s.Budget)
	}
	if price != (distill.Price{}) {
		ledger, err := store.Ledger(account, most)
		if err != nil {
			return err
		}
		access.Purse = ledger
	}
	options := m.Options
	options.Price = &price
	client, err := api.New(options, access)
	if err != nil {
		return fmt.Errorf("model %s: %w", t.name, err)
	}
	t.Teacher = client
	if s.BatchAPI != nil {
		if t.Teacher, err = api.NewBatcher(client, *s.BatchAPI, submissions{filepath.Join(r.store, submissionsDir)}); err != nil {
			return fmt.Errorf("model %s: %w", t.name, err)
		}
	}
	t.figures = func() map[string]any { return map[string]any{"calls": client.Stats()} }
	return r.redacted(t, m)
}

// account is the name under which the store keeps what a stage spends.
func (r *Recipe) account(s stage) string {
	for _, named := range r.stages {
		if named.spec == s {
			return r.Name + "/" + named.name
		}
	}
	return r.Name
}
