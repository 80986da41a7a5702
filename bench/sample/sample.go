// Package sample compares two subjects that were measured in turn: round by round, so that what else the machine did at that time
// counts against both.
//
//	speed := sample.Ratios(ours, theirs)
//	low, median, high := sample.Quartiles(speed)
package sample

import "slices"

// Quartiles returns the lower quartile, the median and the upper quartile of the values: each is one of them (nearest rank). No values
// give zeros.
func Quartiles(values []float64) (low, median, high float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	v := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return v[int(q*float64(len(v)-1)+0.5)] }
	return at(0.25), at(0.5), at(0.75)
}

// Median returns the middle one of the values.
func Median(values []float64) float64 {
	_, m, _ := Quartiles(values)
	return m
}

// Ratios divides a by b, round by round. Rounds that only one of them has, and rounds in which b is 0, are left out.
func Ratios(a, b []float64) []float64 {
	ratios := make([]float64, 0, min(len(a), len(b)))
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return ratios
}

// Tolerance is how far the two halves of a control pair, which are the same, may differ before a run is void.
const Tolerance = 0.10

// Void reports whether the ratios of a control pair say that the run means nothing: their median is more than Tolerance away from 1,
// in either direction, or there are none.
func Void(control []float64) bool {
	m := Median(control)
	return m <= 0 || m > 1+Tolerance || 1/m > 1+Tolerance
}
