package telemetry

import (
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

var sampled = &exemplar{at: 1, traceID: trace.TraceID{1}, spanID: trace.SpanID{2}}

// TestBucketOf holds that each duration is within the bounds of its bucket.
func TestBucketOf(t *testing.T) {
	check := func(d time.Duration) {
		t.Helper()
		got := bucketOf(d)
		low, high := math.Exp2(float64(got+bucketOffset)/perOctave), math.Exp2(float64(got+bucketOffset+1)/perOctave)
		if s := float64(d) * 1e-9; s <= low*(1-1e-14) || s > high*(1+1e-14) {
			t.Errorf("%v is in bucket %d, from %v to %v", d, got, low, high)
		}
	}
	for d := 954 * time.Nanosecond; d < 18*time.Hour; d += d/97 + 1 {
		check(d)
	}
	for i := range 14 {
		d := time.Second << i
		check(d)
		if below, at, above := bucketOf(d-1), bucketOf(d), bucketOf(d+10); at != below || above != at+1 {
			t.Errorf("%v: the bound is in %d, before it %d, after it %d", d, at, below, above)
		}
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, 900} {
		if got := bucketOf(d); got != 0 {
			t.Errorf("%v is in bucket %d", d, got)
		}
	}
	for _, d := range []time.Duration{20 * time.Hour, math.MaxInt64} {
		if got := bucketOf(d); got != allBuckets-1 {
			t.Errorf("%v is in bucket %d", d, got)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for name, sample := range map[string]*exemplar{"unsampled": nil, "sampled": sampled} {
		b.Run(name, func(b *testing.B) {
			s := newSeries(time.Now(), newCells())
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for d := time.Microsecond; pb.Next(); d += 100 {
					s.record(d, sample)
				}
			})
		})
	}
}

func BenchmarkRecordAlone(b *testing.B) {
	s := newSeries(time.Now(), newCells())
	b.ReportAllocs()
	for d := time.Microsecond; b.Loop(); d += 100 {
		s.record(d, nil)
	}
}
