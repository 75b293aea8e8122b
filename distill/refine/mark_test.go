package refine

import (
	"bytes"
	"strings"
	"testing"
)

func TestFreeWordsOccurInNoText(t *testing.T) {
	sum := bytes.Repeat([]byte{0xab}, 32)
	first := freeWord(sum, []string{"", "text"})
	second := freeWord(sum, []string{"x", "so " + strings.ToUpper(first) + ">>>"})
	third := freeWord(sum, []string{first, second})
	if first != strings.Repeat("ab", 8) || second == first || third == first || third == second || len(third) != 16 {
		t.Errorf("%s, %s, %s", first, second, third)
	}
}
