package telemetry

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Durations are counted in buckets whose bounds are the powers of 2^(1/8), in seconds: OpenTelemetry's exponential histogram of scale 3,
// of which no value is further than 4.4 % from the middle of its bucket. Eight of them, from one power of two to the next, are an octave.
const (
	bucketScale  = 3
	perOctave    = 1 << bucketScale
	leastOctave  = -20 // what takes less than 1 µs counts as that
	mostOctave   = 16  // what takes more than 18 hours counts as that
	octaves      = mostOctave - leastOctave
	allBuckets   = octaves * perOctave
	bucketOffset = leastOctave * perOctave // the index of the first bucket among all that there could be
)

// mantissas are the bounds within an octave, as the fractional bits of a float64; mantissaCells tells for each sixteenth of an octave,
// none of which has more than one bound in it, the last bound at or before its start.
var mantissas, mantissaCells = func() (bounds [perOctave + 1]uint64, cells [16]uint8) {
	for i := range perOctave {
		bounds[i] = fraction(math.Exp2(float64(i) / perOctave))
	}
	bounds[perOctave] = math.MaxUint64
	for cell := range cells {
		for bounds[cells[cell]+1] <= uint64(cell)<<48 {
			cells[cell]++
		}
	}
	return bounds, cells
}()

func fraction(f float64) uint64 { return math.Float64bits(f) & (1<<52 - 1) }

// bucketOf returns which of all buckets counts d. The upper bound of a bucket belongs to it.
func bucketOf(d time.Duration) int {
	bits := math.Float64bits(float64(max(d, 1))*1e-9) - 1 // the float before, so that a bound falls below itself
	octave := int(bits>>52) - 1023 - leastOctave
	if octave < 0 {
		return 0
	}
	if octave >= octaves {
		return allBuckets - 1
	}
	rest := bits & (1<<52 - 1)
	sub := mantissaCells[rest>>48]
	if rest >= mantissas[sub+1] {
		sub++
	}
	return octave*perOctave + int(sub)
}

// tally counts durations. Its size is that of the octaves that were needed. It is not safe for concurrent use.
type tally struct {
	sum     time.Duration
	octaves [octaves]*octave
}

type octave struct {
	counts [perOctave]uint64
	last   exemplar
}

// exemplar is a call whose trace is recorded.
type exemplar struct {
	at      int64 // Unix time in nanoseconds; 0: there is none
	took    time.Duration
	traceID trace.TraceID
	spanID  trace.SpanID
}

// add counts d. sample is nil where the call's trace is not recorded.
func (t *tally) add(d time.Duration, sample *exemplar) {
	bucket := uint(bucketOf(d))
	o := t.octaves[bucket/perOctave]
	if o == nil {
		o = new(octave)
		t.octaves[bucket/perOctave] = o
	}
	o.counts[bucket%perOctave]++
	t.sum += d
	if sample != nil {
		o.last = *sample
	}
}

// totals is what several tallies counted together.
type totals struct {
	sum       time.Duration
	count     uint64
	counts    [allBuckets]uint64
	exemplars [octaves]exemplar // the last of each octave
}

// add adds what t has counted.
func (all *totals) add(t *tally) {
	for i, o := range t.octaves {
		if o == nil {
			continue
		}
		for j, n := range o.counts {
			all.counts[i*perOctave+j] += n
			all.count += n
		}
		if o.last.at > all.exemplars[i].at {
			all.exemplars[i] = o.last
		}
	}
	all.sum += t.sum
}

// less takes away what was counted until before.
func (all *totals) less(before *totals) {
	all.sum -= before.sum
	all.count -= before.count
	for i := range all.counts {
		all.counts[i] -= before.counts[i]
	}
}
