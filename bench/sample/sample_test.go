package sample_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/bench/sample"
)

func ExampleQuartiles() {
	rounds := []float64{15, 1, 14, 2, 13, 3, 12, 4, 11, 5, 10, 6, 9, 7, 8}
	fmt.Println(sample.Quartiles(rounds))
	fmt.Println(rounds[0]) // not sorted in place
	// Output:
	// 5 8 12
	// 15
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		values            []float64
		low, median, high float64
	}{
		{nil, 0, 0, 0},
		{[]float64{7}, 7, 7, 7},
		{[]float64{3, 1, 2}, 2, 2, 3},
		{[]float64{5, 4, 3, 2, 1}, 2, 3, 4},
	} {
		low, median, high := sample.Quartiles(c.values)
		if low != c.low || median != c.median || high != c.high {
			t.Errorf("%v: %v %v %v, want %v %v %v", c.values, low, median, high, c.low, c.median, c.high)
		}
		if m := sample.Median(c.values); m != c.median {
			t.Errorf("%v: median %v", c.values, m)
		}
	}
}

func TestRatios(t *testing.T) {
	for _, c := range []struct{ a, b, want []float64 }{
		{[]float64{2, 9, 8}, []float64{1, 3, 2}, []float64{2, 3, 4}}, // not the ratio of sorted values
		{[]float64{2, 9}, []float64{1, 3, 2}, []float64{2, 3}},
		{[]float64{2, 9}, []float64{0, 3}, []float64{3}},
		{nil, []float64{1}, nil},
	} {
		if got := sample.Ratios(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("%v / %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestVoid(t *testing.T) {
	for _, c := range []struct {
		control []float64
		want    bool
	}{
		{nil, true},
		{[]float64{1, 1, 1}, false},
		{[]float64{1.09, 1.09, 5}, false}, // the median decides
		{[]float64{1.11}, true},
		{[]float64{0.92}, false},
		{[]float64{0.90}, true}, // the other way around it is 1.11
		{[]float64{0}, true},
	} {
		if got := sample.Void(c.control); got != c.want {
			t.Errorf("%v: %t", c.control, got)
		}
	}
}
