package proptest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// fleet is some instances that are called at random, in a time that passes as fast as it can.
type fleet struct {
	outliers resilience.Outliers
	counts   resilience.Counts
	all      []*resilience.Watched
	rand     *rand.Rand
	now      time.Time
}

func newFleet(n int, seed uint64) *fleet {
	f := &fleet{rand: rand.New(rand.NewPCG(seed, 1)), now: time.Now()}
	f.outliers.Counts = &f.counts
	for i := range n {
		f.all = append(f.all, f.outliers.Watch(fmt.Sprint(i)))
	}
	return f
}

// call calls the instances, each perSecond times a second on average, for d or until done. How likely a call to the i-th fails is in
// failing; the last is that of all further ones.
func (f *fleet) call(perSecond float64, d time.Duration, done func() bool, failing ...float64) {
	pause := float64(time.Second) / perSecond / float64(len(f.all))
	for end := f.now.Add(d); f.now.Before(end) && !done(); {
		f.now = f.now.Add(time.Duration(f.rand.ExpFloat64() * pause))
		f.outliers.Check(f.now)
		i := f.rand.IntN(len(f.all))
		w := f.all[i]
		if w.Ejected() || !w.Admit(f.now) {
			continue
		}
		outcome := resilience.Answered
		if f.rand.Float64() < failing[min(i, len(failing)-1)] {
			outcome = resilience.Unavailable
		}
		w.Begin(f.now)
		w.End(f.now, time.Millisecond, outcome)
	}
}

func (f *fleet) ejections() uint64 {
	return f.counts.Of(resilience.EjectedErrors) + f.counts.Of(resilience.EjectedFailed)
}

func (f *fleet) someoneLeft() bool { return f.ejections() > 0 }

func never() bool { return false }

// thorough is how many times as long the simulations take: the figures in the documentation were measured with HANSE_THOROUGH=20.
func thorough(t *testing.T) int {
	text := os.Getenv("HANSE_THOROUGH")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Instances that fail one call in a hundred are healthy, and stay.
func TestHealthyInstancesStay(t *testing.T) {
	for _, perSecond := range []float64{3, 33, 1000} {
		calls := 700_000 * thorough(t)
		f := newFleet(3, 1)
		d := time.Duration(float64(calls) / perSecond / 3 * float64(time.Second))
		f.call(perSecond, d, never, 0.01)
		t.Logf("3 instances, %4v calls/s each: %d ejections in %d calls, %.1f hours of each", perSecond, f.ejections(), calls, d.Hours())
		if f.ejections() > uint64(thorough(t)) {
			t.Error("more than 1 ejection of 700,000 calls")
		}
	}
}

// An instance that fails three calls in ten leaves soon, whatever came before and however few calls it gets.
func TestFailingInstanceLeaves(t *testing.T) {
	for _, tt := range []struct {
		n         int
		perSecond float64
		within    time.Duration // 95 of 100 times
	}{
		{2, 33, 2 * time.Second},
		{3, 10, 6 * time.Second},
		{3, 33, 2 * time.Second},
		{3, 1000, 200 * time.Millisecond},
		{10, 33, 2 * time.Second},
	} {
		runs := 50 * thorough(t)
		var took []time.Duration
		for seed := range uint64(runs) {
			f := newFleet(tt.n, seed)
			f.call(tt.perSecond, 12*time.Second, never, 0.001)
			began := f.now
			f.call(tt.perSecond, 30*time.Second, f.all[0].Ejected, 0.3, 0.001)
			took = append(took, f.now.Sub(began))
		}
		slices.Sort(took)
		quantile := func(q float64) time.Duration { return took[int(q*float64(runs))].Round(10 * time.Millisecond) }
		t.Logf("%2d instances, %4v calls/s each: p50 %v, p95 %v, p99 %v", tt.n, tt.perSecond, quantile(0.5), quantile(0.95), quantile(0.99))
		if quantile(0.95) > tt.within {
			t.Errorf("want at most %v", tt.within)
		}
	}
}

// When all begin to fail at the same moment, hardly ever one is taken for worse than the others.
func TestFaultOfAll(t *testing.T) {
	for _, failing := range []float64{0.1, 0.3, 0.5, 0.9} {
		for _, perSecond := range []float64{33, 300} {
			runs, left := 50*thorough(t), 0
			for seed := range uint64(runs) {
				f := newFleet(3, seed)
				f.call(perSecond, 12*time.Second, never, 0.001)
				f.call(perSecond, 5*time.Second, f.someoneLeft, failing)
				if f.someoneLeft() {
					left++
				}
			}
			t.Logf("3 instances, %3v calls/s each, %2.0f %% fail: one left in %.1f %% of the runs", perSecond, 100*failing, 100*float64(left)/float64(runs))
			if left*5 > runs {
				t.Error("want at most 20 %")
			}
		}
	}
}

// There is nowhere else to go from an instance that is the only one.
func TestOnlyInstanceStays(t *testing.T) {
	f := newFleet(1, 1)
	f.outliers.Set(resilience.Outlier{MaxEjected: 100})
	f.call(33, 30*time.Second, never, 1)
	if f.ejections() != 0 {
		t.Error("it was ejected")
	}
}
