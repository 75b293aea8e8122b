package overlap

import "iter"

// Kind says how a text repeats an earlier one.
type Kind int

const (
	Equal    Kind = iota // same prompt and same response
	Conflict             // same prompt, another response, and Equal to none
	Near                 // similar to a text that is Equal to none of its own
)

func (k Kind) String() string {
	return [...]string{"equal", "conflict", "near"}[k]
}

// Duplicate says that the text Index repeats the earlier text Of.
type Duplicate struct {
	Index, Of int
	Kind      Kind
}

// Result says which texts repeat earlier ones. Safe for concurrent use.
type Result struct {
	Texts int
	// Counts holds the texts of each Kind; a text can be of several.
	Counts [3]int
	// LargeBuckets counts the buckets in which only neighbours were compared.
	LargeBuckets int

	prompt, whole []uint32
	near          forest // each text's root; nil: not asked for
}

// count also flattens near, so that looking things up changes nothing.
func (r *Result) count() {
	r.Texts = len(r.whole)
	for i := range r.near {
		r.near[i] = r.near[r.near[i]] // parents come first: theirs is a root
	}
	for i := range r.Texts {
		for k := range Kind(len(r.Counts)) {
			if _, ok := r.Of(i, k); ok {
				r.Counts[k]++
			}
		}
	}
}

// Of gives the first text that text i repeats in this way: for Equal and
// Conflict the first such, for Near the first of the cluster, which is kept.
func (r *Result) Of(i int, k Kind) (int, bool) {
	j := i
	switch k {
	case Equal:
		j = int(r.whole[i])
	case Conflict:
		if int(r.whole[i]) == i {
			j = int(r.prompt[i])
		}
	case Near:
		if r.near != nil {
			j = int(r.near[i])
		}
	}
	return j, j != i
}

// Duplicates gives in order the texts that are of one of the kinds, each once,
// with the first kind it is of.
func (r *Result) Duplicates(kinds ...Kind) iter.Seq[Duplicate] {
	return func(yield func(Duplicate) bool) {
		for i := range r.Texts {
			for _, k := range kinds {
				if of, ok := r.Of(i, k); ok {
					if !yield(Duplicate{i, of, k}) {
						return
					}
					break
				}
			}
		}
	}
}
