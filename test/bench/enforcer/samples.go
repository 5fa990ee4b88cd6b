package main

import (
	"fmt"
	"math"
	"slices"
)

// samples are figures of one thing, measured again and again.
type samples []float64

// quantile returns the value that a share of the samples do not exceed, by the nearest rank; NaN
// without samples.
func (s samples) quantile(share float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

func (s samples) median() float64 { return s.quantile(0.5) }

// against divides by the samples of the same rounds of something else.
func (s samples) against(base samples) samples {
	var ratios samples
	for i := range min(len(s), len(base)) {
		ratios = append(ratios, s[i]/base[i])
	}
	return ratios
}

// spread is the median, and the middle half of the samples.
func (s samples) spread(format string) string {
	if len(s) == 0 {
		return "–"
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.median(), s.quantile(0.25), s.quantile(0.75))
}

// figures takes one figure of each of many.
func figures[T any](from []T, figure func(T) float64) samples {
	var s samples
	for _, one := range from {
		s = append(s, figure(one))
	}
	return s
}
