package datasets

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ml/retort/internal/overlap"
)

// Contamination says how training examples and the texts that models are
// measured on overlap, in both directions.
type Contamination struct {
	Texts      int `json:"texts"`       // that are looked for: prompts and responses, or values of columns
	TooShort   int `json:"too_short"`   // of them, those of too few words to be looked for
	TextsFound int `json:"texts_found"` // that share a run of words with a training example
	TextsWhole int `json:"texts_whole"` // of which one training example has every run

	Examples int `json:"examples"` // of training that were compared
	Matching int `json:"matching"` // that share a run of words with a text
	Dropped  int `json:"dropped"`  // that are left out

	Shared []SharedText `json:"shared,omitempty"` // of the first 20 that are left out
}

// SharedText is what a training example has of a text.
type SharedText struct {
	Example string `json:"example"` // its id
	Text    string `json:"text"`    // file or split and row
	Words   string `json:"words"`   // of the example, the first 200 bytes
}

// named is d with base names, as a description has them.
func (d *Decontaminate) named() *Decontaminate {
	if d == nil {
		return nil
	}
	c := *d
	c.Against = nil
	for _, path := range d.Against {
		c.Against = append(c.Against, filepath.Base(path))
	}
	return &c
}

// maxIndexWords bounds the texts that are looked for: a word takes about 50 bytes.
const maxIndexWords = 4 << 20

// dropContaminated leaves out training examples that have what models are
// measured on.
func (m *maker) dropContaminated(ctx context.Context) error {
	d := m.o.Decontaminate
	if d == nil {
		return nil
	}
	index, err := overlap.NewIndex(d.index())
	if err != nil {
		return err
	}
	words := 0
	add := func(name, text string) error {
		if strings.TrimSpace(text) == "" {
			return nil
		}
		_, n := countText(text)
		if words += n; words > maxIndexWords {
			return fmt.Errorf("decontaminate: the texts to look for have more than %d words: name fewer splits or files", maxIndexWords)
		}
		return index.AddItem(name, text)
	}
	labels, err := m.responsesAreLabels(ctx)
	if err != nil {
		return err
	}
	if err := m.addSplits(ctx, labels, add); err != nil {
		return err
	}
	if err := m.addAgainst(ctx, labels, add); err != nil {
		return err
	}
	return m.match(ctx, index)
}

// responsesAreLabels tells whether the dataset's responses are few, each of many
// examples: they are in training and in benchmarks alike, and give nothing away.
func (m *maker) responsesAreLabels(ctx context.Context) (bool, error) {
	distinct, examples := map[string]bool{}, 0
	for _, s := range m.spools {
		err := s.read(func(_ int, e *spooled) error {
			if examples++; len(distinct) <= maxLabels {
				distinct[e.Response] = true
			}
			return ctx.Err()
		})
		if err != nil {
			return false, err
		}
	}
	return len(distinct) <= maxLabels && 2*len(distinct) <= examples, nil
}

// addSplits adds the prompts of this dataset's own splits, and the responses
// unless they are labels.
func (m *maker) addSplits(ctx context.Context, labels bool, add func(name, text string) error) error {
	wanted := m.o.Decontaminate.Splits
	for _, name := range wanted {
		if !slices.Contains(m.splits, name) {
			return fmt.Errorf("decontaminate.splits: %q: the dataset has %s", name, nameList(m.splits))
		}
	}
	for i, split := range m.splits {
		if split == TrainSplit || wanted != nil && !slices.Contains(wanted, split) {
			continue
		}
		err := m.spools[i].read(func(at int, e *spooled) error {
			if m.verdicts[i][at] != 0 {
				return ctx.Err()
			}
			text := m.comparable(e)
			name := split + " " + e.ID
			if err := add(name, text.Prompt); err != nil || labels {
				return err
			}
			return add(name, text.Response)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addAgainst adds the texts of files and of the caller.
func (m *maker) addAgainst(ctx context.Context, labels bool, add func(name, text string) error) error {
	d := m.o.Decontaminate
	files, err := findFiles(0, map[string][]string{"": d.Against})
	if err != nil {
		return fmt.Errorf("decontaminate.against: %w", err)
	}
	for _, f := range files {
		if err := m.addFile(ctx, f.path, labels, add); err != nil {
			return fmt.Errorf("decontaminate.against: %w", err)
		}
	}
	if m.hooks.Against == nil {
		return nil
	}
	n := 0
	for text, err := range m.hooks.Against {
		if err == nil {
			err = add(strconv.Itoa(n), text)
		}
		if err != nil {
			return fmt.Errorf("decontaminate: %w", err)
		}
		n++
	}
	return nil
}

// addFile adds the texts of one file: values of columns, or what the dataset's
// own mapping makes of rows. Rows without are passed over.
func (m *maker) addFile(ctx context.Context, path string, labels bool, add func(name, text string) error) error {
	if err := checkRegular(path); err != nil {
		return err
	}
	columns := m.o.Decontaminate.Columns
	mapper := m.mappers[0].with(path)
	rows := &fileRows{path: path, want: mapper.want}
	texts := func(c *candidate) {
		if c.reason = mapper.example(c.row.cells, &c.Example); c.reason == "" {
			text := m.comparable(&c.spooled)
			c.Prompt, c.Response = text.Prompt, text.Response
		}
	}
	if len(columns) > 0 {
		rows.want = nil
		for _, name := range columns {
			rows.want = append(rows.want, wanted{name: name})
		}
		texts = func(c *candidate) {
			for _, cell := range c.row.cells {
				text, _ := cell.scalar("")
				c.Choices = append(c.Choices, text)
			}
		}
	}
	rows.make = texts
	base := filepath.Base(path)
	return rows.read(ctx, func(c *candidate) error {
		texts := []string{c.Prompt, c.Response}
		if labels {
			texts = texts[:1]
		}
		if len(columns) > 0 {
			texts = c.Choices
		} else if c.reason != "" {
			return nil
		}
		for _, text := range texts {
			if err := add(base+" row "+strconv.Itoa(c.row.index), text); err != nil {
				return err
			}
		}
		return nil
	})
}

// match looks for the texts in the training examples.
func (m *maker) match(ctx context.Context, index *overlap.Index) error {
	tally := overlap.NewTally(index)
	found := &Contamination{}
	found.Texts, found.TooShort = index.Items()
	split := m.train()
	if split >= 0 {
		err := m.spools[split].read(func(at int, e *spooled) error {
			if m.verdicts[split][at] != 0 {
				return ctx.Err()
			}
			text := m.comparable(e)
			if tally.Add(at, index.Match(text.Prompt+"\n"+text.Response)) {
				m.drop(split, at, Contaminated)
				if n := len(tally.Examples); n > len(found.Shared) {
					best := tally.Examples[n-1]
					found.Shared = append(found.Shared, SharedText{e.ID, best.ID, strings.ToValidUTF8(best.Span[:min(len(best.Span), 200)], "")})
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	found.TextsFound, found.TextsWhole = tally.Items, tally.ItemsWhole
	found.Examples, found.Matching, found.Dropped = tally.Texts, tally.Matching, tally.Contaminated
	m.found = found
	return nil
}
