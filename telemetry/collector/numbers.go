package collector

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	fineStep   = 2              // seconds
	fineFor    = 10 * 60        // seconds
	coarseStep = 15             // seconds
	coarseFor  = 6 * 3600       // seconds, if there is room
	coarseMin  = 30 * 60        // seconds, at least
	mostSeries = 10_000         // of metrics and of numbers made of spans
	mostNumber = 64 << 20       // bytes of slots
	mostLabels = 32             // of a series
	exemplars  = 24             // of a series
	aliases    = 4 * mostSeries // ways to write the labels of a series
	idleAfter  = 20 * 60        // seconds after which a series may make room for another one
)

// Kinds of metrics.
const (
	counterKind   = "counter"
	updownKind    = "updown"
	gaugeKind     = "gauge"
	histogramKind = "histogram"
)

// numbers keeps metrics, and what is counted of spans. Its methods are safe for concurrent use, those with a small "held" in their comment
// need mu.
type numbers struct {
	mu       sync.Mutex
	metrics  map[string]*metric
	byText   map[string]*series // by what stands in requests
	byLabels map[string]*series
	bytes    int
	keep     int64 // seconds that coarse slots are kept
	pruned   int64 // second
	added    int64 // points
	covered  map[coverKey]int64
	several  methods
	open     map[string]runningSpan // by span ID

	work  hist      // room to work in
	attrs spanAttrs // of the span that is counted
	known knownTexts
}

// metric is all series of a name.
type metric struct {
	MetricInfo
	series []*series
	hidden bool // made of spans
}

// label is a key with its value.
type label struct{ key, value string }

// series is one metric of one instance with one set of labels.
type series struct {
	metric    *metric
	labels    []label // by key
	key       string  // in byLabels
	fine      ring
	coarse    ring
	exemplars []Exemplar // the newest is last
	flow      *flow      // what calls it counts; nil: none
	messages  *flow      // whose messages it counts; nil: nobody's
	last      int64      // second
	between   int64      // seconds between the last two points; of a number that goes up and down
	told      float64    // all that was told together; of a number that goes up and down, and is told as what it changed by
	writers   []state    // of a cumulative one; at most mostWriters
	forgot    int64      // the latest start, in nanoseconds, of those for whom there was no room
}

func newNumbers() *numbers {
	return &numbers{
		metrics: make(map[string]*metric), byText: make(map[string]*series), byLabels: make(map[string]*series), keep: coarseFor,
		covered: make(map[coverKey]int64), several: make(methods), open: make(map[string]runningSpan),
	}
}

func (n *numbers) size() (series int, points int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.byLabels), n.added
}

// seriesOf returns the series with those labels, which it makes if there is room. Held.
func (n *numbers) seriesOf(m *metric, labels []label, now int64) *series {
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.key, b.key) })
	labels = slices.CompactFunc(labels, func(a, b label) bool { return a.key == b.key })
	var b strings.Builder
	b.WriteString(m.Name)
	for _, l := range labels {
		b.WriteByte(0)
		b.WriteString(l.key)
		b.WriteByte(1)
		b.WriteString(l.value)
	}
	key := b.String()
	if s := n.byLabels[key]; s != nil {
		return s
	}
	if len(n.byLabels) >= mostSeries && !n.evict(now) {
		return nil
	}
	s := &series{metric: m, labels: labels, key: key, last: now, fine: ring{step: fineStep}, coarse: ring{step: coarseStep}}
	s.flow, s.messages = flowOf(m, labels), messagesOf(m, labels)
	n.byLabels[key] = s
	m.series = append(m.series, s)
	return s
}

// metricOf returns the metric of a name, which it makes. Held.
func (n *numbers) metricOf(info MetricInfo, hidden bool) *metric {
	m := n.metrics[info.Name]
	if m == nil {
		m = &metric{MetricInfo: info, hidden: hidden}
		n.metrics[info.Name] = m
	}
	return m
}

// evict makes room by dropping series that nothing came for. Held.
func (n *numbers) evict(now int64) bool {
	before := len(n.byLabels)
	n.prune(now, idleAfter)
	return len(n.byLabels) < before
}

// mostParts is about in how many parts what was counted in a stretch of time is put into slots.
const mostParts = 150

// put adds to a series. Between from and to, in nanoseconds, the n values with that sum were counted. Held.
func (n *numbers) put(s *series, from, to int64, count, sum float64, h hist, now int64) {
	const second = int64(time.Second)
	if d := to/second - now; d > 300 || d < -300 { // its clock is wrong
		from, to = now*second, now*second
	}
	s.last = now
	n.added++
	for _, r := range []*ring{&s.fine, &s.coarse} {
		step := r.step * second
		if from <= 0 || from >= to || to/step == from/step {
			n.bytes += r.add(to/second, count, sum, h, &n.work)
			continue
		}
		// A counter that is told once in a while went up in all that time; a histogram is put where the middle was.
		if len(h) > 0 {
			n.bytes += r.add((from+(to-from)/2)/second, 0, 0, h, &n.work)
		}
		step *= (to-from)/(step*mostParts) + 1
		for at := from; at < to; {
			end := min((at/step+1)*step, to)
			part := float64(end-at) / float64(to-from)
			n.bytes += r.add(at/second, count*part, sum*part, nil, &n.work)
			at = end
		}
	}
}

// upkeep drops what is too old or too much. Held.
func (n *numbers) upkeep(now int64) {
	if now-n.pruned < 30 && n.bytes < mostNumber {
		return
	}
	n.pruned = now
	n.forget(now)
	n.prune(now, coarseFor)
	for n.bytes > mostNumber && n.keep > coarseMin {
		n.keep = max(n.keep*3/4, coarseMin)
		n.prune(now, n.keep)
	}
	if n.bytes < mostNumber/2 {
		n.keep = min(n.keep*4/3, coarseFor)
	}
}

// prune drops slots that are too old, and series that nothing came for in idle seconds. Held.
func (n *numbers) prune(now, idle int64) {
	for name, m := range n.metrics {
		m.series = slices.DeleteFunc(m.series, func(s *series) bool {
			n.bytes -= s.fine.trim(now-fineFor) + s.coarse.trim(now-n.keep)
			if now-s.last <= idle {
				return false
			}
			n.bytes -= s.fine.trim(now+1e6) + s.coarse.trim(now+1e6)
			delete(n.byLabels, s.key)
			return true
		})
		if len(m.series) == 0 {
			delete(n.metrics, name)
		}
	}
	for text, s := range n.byText {
		if n.byLabels[s.key] != s {
			delete(n.byText, text)
		}
	}
	if len(n.byText) > aliases {
		clear(n.byText)
	}
}

// silence is after how many seconds without a point the series has ended: three times what was between two, and some more.
func (s *series) silence() int64 {
	if s.between == 0 {
		return coverFor
	}
	return min(3*s.between+2*fineStep, coverFor)
}

// ringFor returns the ring for a window that begins at a second.
func (s *series) ringFor(from, now int64) *ring {
	if from >= now-fineFor {
		return &s.fine
	}
	return &s.coarse
}

// label returns a label's value.
func (s *series) label(key string) string {
	i, found := slices.BinarySearchFunc(s.labels, key, func(l label, key string) int { return cmp.Compare(l.key, key) })
	if !found {
		return ""
	}
	return s.labels[i].value
}

// addExemplar keeps an exemplar, if it is none that is there.
func (s *series) addExemplar(e Exemplar) {
	for i := len(s.exemplars) - 1; i >= 0; i-- {
		if s.exemplars[i].TraceID == e.TraceID && s.exemplars[i].SpanID == e.SpanID {
			return
		}
	}
	if len(s.exemplars) >= exemplars {
		s.exemplars = slices.Delete(s.exemplars, 0, 1)
	}
	s.exemplars = append(s.exemplars, e)
}
