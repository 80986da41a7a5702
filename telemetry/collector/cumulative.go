package collector

import (
	"slices"
	"time"
)

// state is the last that a process told of a cumulative series.
type state struct {
	start, time int64 // nanoseconds
	count       float64
	sum         float64
	hist        hist
	scale       int32 // of hist, as it was told
}

const (
	// firstIs is how long ago a cumulative series may have begun for its first point to count as a whole.
	firstIs = 5 * time.Minute
	// mostWriters is how many processes may tell of one series. Programs that only call have no instance ID: the old and the new one at a
	// restart do, and copies.
	mostWriters = 8
)

// grown returns what a point adds to a cumulative series, and since when: what its process has counted since it told last. A process is known
// by when it began to count. ok is false for nothing, and for what was counted nobody knows when. Held.
func (s *series) grown(p *point, at, now int64) (from int64, count, sum float64, h hist, ok bool) {
	told := state{start: p.start, time: at, count: p.count, sum: p.sum, hist: p.hist, scale: p.scale}
	i := slices.IndexFunc(s.writers, func(w state) bool { return w.start == p.start })
	if i < 0 {
		newest := int64(0)
		for _, w := range s.writers {
			newest = max(newest, w.time)
		}
		ok = p.start > s.forgot && (now-p.start <= int64(firstIs) || newest > 0 && p.start >= newest)
		if len(s.writers) == mostWriters {
			k := 0
			for i := range s.writers {
				if s.writers[i].time < s.writers[k].time {
					k = i
				}
			}
			s.forgot = max(s.forgot, s.writers[k].start)
			s.writers = slices.Delete(s.writers, k, k+1)
		}
		s.writers = append(s.writers, told)
		return p.start, p.count, p.sum, p.hist, ok
	}
	before := s.writers[i]
	if at <= before.time { // it was sent twice
		return 0, 0, 0, nil, false
	}
	s.writers[i] = told
	count, sum = p.count, p.sum-before.sum
	if s.metric.Kind == histogramKind {
		count -= before.count
	}
	if p.scale < before.scale { // its buckets have become wider
		before.hist = before.hist.widened(p.scale)
	}
	h, same := p.hist.minus(before.hist) // without a start the buckets alone say whether it is the same process
	if count < 0 || sum < 0 && s.metric.Kind != histogramKind || !same && p.start == 0 {
		return at, p.count, p.sum, p.hist, true // it began anew and does not say so
	}
	return before.time, count, sum, h, true
}
