package spelling_test

import (
	"testing"

	"github.com/retort-ml/retort/internal/spelling"
)

func TestUnknown(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"smol13", `unknown shape "smol13" (did you mean smol135?)`},
		{"SMOL360", `unknown shape "SMOL360" (did you mean smol360?)`},
		{"storie15", `unknown shape "storie15" (did you mean stories15?)`},
		{"elephant", `unknown shape "elephant": there are smol135, smol360, stories15`},
		{"", `unknown shape "": there are smol135, smol360, stories15`},
	} {
		if got := spelling.Unknown("shape", c.word, []string{"stories15", "smol135", "smol360"}); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
