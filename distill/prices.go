package distill

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

//go:embed prices.json
var pricesFile []byte

// Prices is a table of list prices.
type Prices struct {
	Version string      `json:"version"` // the day on which they were looked up
	Source  string      `json:"source"`
	List    []ListPrice `json:"prices"`
}

// ListPrice is what a provider asks for a model.
type ListPrice struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Price
}

// ErrPrice says that the price of a model is not known.
var ErrPrice = errors.New("the price is not known")

// ListPrices is the table that the program brings along. It may be out of date:
// a recipe's own price goes before it.
func ListPrices() (*Prices, error) {
	p, err := ParsePrices(pricesFile)
	if err != nil {
		return nil, fmt.Errorf("read the list of prices: %w", err)
	}
	return p, nil
}

// ParsePrices reads a table in JSON.
func ParsePrices(text []byte) (*Prices, error) {
	var p Prices
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, err
	}
	seen := map[[2]string]bool{}
	for i, e := range p.List {
		name := [2]string{strings.ToLower(e.Provider), strings.ToLower(e.Model)}
		err := e.Validate()
		switch {
		case name[0] == "" || name[1] == "":
			err = errors.New("it names no provider or no model")
		case seen[name]:
			err = errors.New("it is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("price %d (%s %s): %w", i, e.Provider, e.Model, err)
		}
		seen[name] = true
	}
	return &p, nil
}

// snapshot is how providers name a version of a model: -2024-08-06, -20241022,
// -0613, -001, -latest, and -preview before one of those or alone.
var snapshot = regexp.MustCompile(`^(-preview)?(-\d{4}-\d\d-\d\d|-\d{8}|-\d{3,4}|-\d\d-\d{4}|-\d\d-\d\d|-latest)?$`)

// Find is the price of a provider's model. An entry is of a model if it has its
// name, or its name and a snapshot after it; of several the longest counts. So
// gpt-4o-2024-05-13 has an entry of its own, gpt-4o-2024-08-06 has that of
// gpt-4o, and gpt-4o-audio has none. Upper case does not matter. The error is
// ErrPrice, wrapped, and says how to declare one.
func (p *Prices) Find(provider, model string) (ListPrice, error) {
	var best ListPrice
	for _, e := range p.List {
		if !strings.EqualFold(e.Provider, provider) || len(e.Model) <= len(best.Model) || len(model) < len(e.Model) {
			continue
		}
		if strings.EqualFold(model[:len(e.Model)], e.Model) && snapshot.MatchString(strings.ToLower(model[len(e.Model):])) {
			best = e
		}
	}
	if best.Model == "" {
		return best, fmt.Errorf("model %q of %s: %w to the list of %s: declare it with the teacher, in dollars per million tokens, "+
			"as in price: {input: 2.5, output: 10}; a server of your own costs price: {input: 0, output: 0}", model, provider, ErrPrice, p.Version)
	}
	return best, nil
}
