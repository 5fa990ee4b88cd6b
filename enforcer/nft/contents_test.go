package nft_test

import (
	"math"
	"testing"

	"github.com/apptier/apptier/enforcer/nft"
)

func TestNextRevision(t *testing.T) {
	for revision, want := range map[uint32]uint32{0: 0, 1: 2, math.MaxUint32: 1} {
		if got := nft.NextRevision(revision); got != want {
			t.Errorf("%d: got %d, want %d", revision, got, want)
		}
	}
}
