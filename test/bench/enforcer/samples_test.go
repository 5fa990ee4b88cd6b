package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		samples samples
		share   float64
		want    float64
	}{
		{samples{7}, 0.5, 7},
		{samples{3, 1, 2}, 0.5, 2},
		{samples{4, 3, 1, 2}, 0.25, 1},
		{samples{4, 3, 1, 2}, 0.75, 3},
		{samples{4, 3, 1, 2}, 0.99, 4},
		{samples{4, 3, 1, 2}, 0, 1},
	} {
		if got := test.samples.quantile(test.share); got != test.want {
			t.Errorf("quantile %v of %v: got %v, want %v", test.share, test.samples, got, test.want)
		}
	}
	if got := (samples{}).median(); !math.IsNaN(got) {
		t.Errorf("the median of nothing: got %v, want NaN", got)
	}
}

// Rounds are compared with themselves, so that what slowed one down counts on both sides.
func TestAgainstComparesRoundByRound(t *testing.T) {
	got := samples{2, 30, 8}.against(samples{4, 60, 4})
	if diff := cmp.Diff(samples{0.5, 0.5, 2}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
