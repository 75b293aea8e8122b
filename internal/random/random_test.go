package random_test

import (
	"testing"

	"github.com/retort-ml/retort/internal/random"
)

func TestStreamsFollowFromSeedAndPurpose(t *testing.T) {
	a, again := random.Stream(1, "a"), random.Stream(1, "a")
	other, reseeded := random.Stream(1, "b"), random.Stream(2, "a")
	x := a.Uint64()
	if y := again.Uint64(); y != x {
		t.Errorf("same seed and purpose: %d, then %d", x, y)
	}
	if other.Uint64() == x || reseeded.Uint64() == x {
		t.Error("another purpose or seed gave the same number")
	}
	if random.Key(0, "") == random.Key(0, "a") {
		t.Error("keys of two purposes are equal")
	}
}
